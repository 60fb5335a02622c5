"""One visitor cannot fill the disk, and is told before anything is lost."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.drafts import keep
from components.chats.importing import read_file
from components.chats.replies import Replies
from components.chats.sharing import share, shared_by, withdraw
from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.errors import FullError
from tests.chats.helpers import CONTROLS, ask, texts
from tests.scripted_engine import ScriptedEngine

MOST = 10_000


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    small = get_settings().model_copy(update={"max_stored_chars": MOST})
    monkeypatch.setattr("components.chats.room.get_settings", lambda: small)


def visitor(replies: Replies, name: str = "one") -> Chat:
    return Chat.new(Asker(f"browser:{name}", limited=True), replies)


def test_who_keeps_as_much_as_they_may_is_refused_and_loses_nothing(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "x" * 6000)  # which is said again: 12,000
    tries: list[Callable[[], None]] = [
        lambda: chat.ask(engine, "more", CONTROLS),
        lambda: chat.edit(engine, chat.shown[0], "less", CONTROLS),
        lambda: chat.regenerate(engine, chat.shown[1], CONTROLS),
        lambda: chat.resume(engine, chat.shown[1], CONTROLS),
    ]
    for refused in tries:
        with pytest.raises(FullError):
            refused()
    assert texts(chat.shown) == ["x" * 6000, "You said: " + "x" * 6000]
    assert len(engine.requests) == 1


def test_a_question_that_would_not_fit_is_refused(replies: Replies, engine: ScriptedEngine) -> None:
    with pytest.raises(FullError):
        visitor(replies).ask(engine, "x" * (MOST + 1), CONTROLS)


def test_what_is_shared_counts_as_often_as_it_is_copied(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "x" * 2000)  # which is said again: 4,010
    first = share(chat, "never")
    with pytest.raises(FullError):
        share(chat, "never")
    assert [one.id for one in shared_by(chat)] == [first.id]
    with pytest.raises(FullError):
        chat.ask(engine, "x" * 2000, CONTROLS)
    withdraw(chat, first.id)
    ask(chat, engine, "x" * 2000)


def test_tabs_that_share_at_once_do_not_get_past_it(
    replies: Replies, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has seen that there is room before any of them writes."""
    chat = visitor(replies)
    ask(chat, engine, "x" * 2000)
    monkeypatch.setattr("components.chats.sharing.make_room", lambda *_: None)
    share(chat, "never")
    with pytest.raises(FullError):
        share(chat, "never")
    assert len(shared_by(chat)) == 1


def test_a_link_that_has_expired_counts_no_more(
    replies: Replies, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.chats.sharing.EXPIRY_SECONDS", {"day": -1.0})
    chat = visitor(replies)
    ask(chat, engine, "x" * 2000)
    for _ in range(4):
        share(chat, "day")
    ask(chat, engine, "x" * 2000)


def test_others_still_may(replies: Replies, engine: ScriptedEngine) -> None:
    ask(visitor(replies), engine, "x" * 6000)
    assert ask(visitor(replies, "two"), engine, "hello").text == "You said: hello"


def test_the_owner_has_no_bound(replies: Replies, engine: ScriptedEngine, chat: Chat) -> None:
    ask(chat, engine, "x" * 6000)
    assert ask(chat, engine, "more").text == "You said: more"


def test_what_was_thrown_away_makes_room(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "x" * 6000)
    with replies.database.writing() as connection:
        Conversations(connection, "browser:one").delete(chat.conversation.id)
    assert ask(visitor(replies), engine, "hello").text == "You said: hello"
    with replies.database.reading() as connection:
        assert not Conversations(connection, "browser:one").deleted(), "the bin is emptied to make room"


def test_the_bin_stays_while_there_is_room(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "hello")
    with replies.database.writing() as connection:
        Conversations(connection, "browser:one").delete(chat.conversation.id)
    ask(visitor(replies), engine, "hello")
    with replies.database.reading() as connection:
        assert len(Conversations(connection, "browser:one").deleted()) == 1


def test_a_file_that_would_not_fit_is_refused_and_nothing_of_it_is_kept(replies: Replies) -> None:
    drafts = read_file(training("x" * 4000, "y" * 4000, "z" * 4000)).drafts
    with pytest.raises(FullError):
        keep(replies.database, Asker("browser:one", limited=True), drafts)
    assert kept(replies, "browser:one") == 0


def test_a_file_that_fits_is_kept(replies: Replies) -> None:
    keep(replies.database, Asker("browser:one", limited=True), read_file(training("x" * 9000)).drafts)
    assert kept(replies, "browser:one") == 1


def test_the_owner_may_bring_in_any_file(replies: Replies) -> None:
    keep(replies.database, Asker("owner"), read_file(training("x" * 9000, "y" * 9000)).drafts)
    assert kept(replies, "owner") == 2


def training(*questions: str) -> bytes:
    """A training set with one conversation for each question."""
    return b"\n".join(json.dumps({"messages": [{"role": "user", "content": one}]}).encode() for one in questions)


def kept(replies: Replies, reader: str) -> int:
    with replies.database.reading() as connection:
        return len(Conversations(connection, reader).ids())


FILLED = {
    "a title": {"title": "x"},
    "a system prompt": {"system": "x"},
    "a note": {"note": "x"},
    "an error": {"error": "x"},
    "a model": {"model": "x"},
    "weights": {"weights": "x"},
    "token ids": {"tokens": [1]},
    "what is searched": {"text": "\ufdfa"},
    "empty messages": {"messages": 60},
}


@pytest.mark.parametrize("filled", FILLED.values(), ids=FILLED)
def test_everything_counts_that_a_file_can_fill(replies: Replies, filled: dict[str, Any]) -> None:
    asker = Asker("browser:one", limited=True)
    data: dict[str, Any] = {name: value if name == "messages" else value * 4_000 for name, value in filled.items()}
    reply = {name: data[name] for name in ("error", "model", "weights", "tokens") if name in data}
    message = {"role": "assistant", "text": data.get("text", ""), "note": data.get("note", ""), "reply": reply}
    messages = [message | {"id": number, "parent": None} for number in range(data.get("messages", 1))]
    conversation = {"messages": messages} | {name: data[name] for name in ("title", "system") if name in data}
    file = {"format": "baichuan-chat", "version": 1, "conversations": [conversation] * 5}
    drafts = [
        replace(draft, conversation=replace(draft.conversation, title=data.get("title", "")))
        for draft in read_file(json.dumps(file).encode()).drafts
    ]
    with pytest.raises(FullError):
        keep(replies.database, asker, drafts)
    assert kept(replies, asker.reader) == 0
    keep(replies.database, Asker(asker.reader), drafts)
    with pytest.raises(FullError):
        Chat.new(asker, replies).ask(ScriptedEngine(), "x", CONTROLS)


def test_system_prompts_count_with_every_reply(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    controls = replace(CONTROLS, system="x" * 2_500)
    for _ in range(2):
        ask(chat, engine, "x", controls)
    for asking in (chat, visitor(replies)):
        with pytest.raises(FullError):
            asking.ask(engine, "x", controls)
    with pytest.raises(FullError):
        visitor(replies, "two").ask(engine, "x", replace(CONTROLS, system="x" * MOST))
