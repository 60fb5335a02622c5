"""One visitor cannot fill the disk, and is told before anything is lost."""

import json
from collections.abc import Callable

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

MOST = 1000


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    small = get_settings().model_copy(update={"max_stored_chars": MOST})
    monkeypatch.setattr("components.chats.room.get_settings", lambda: small)


def visitor(replies: Replies, name: str = "one") -> Chat:
    return Chat.new(Asker(f"browser:{name}", limited=True), replies)


def test_who_keeps_as_much_as_they_may_is_refused_and_loses_nothing(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "x" * 600)  # which is said again: 1,200
    tries: list[Callable[[], None]] = [
        lambda: chat.ask(engine, "more", CONTROLS),
        lambda: chat.edit(engine, chat.shown[0], "less", CONTROLS),
        lambda: chat.regenerate(engine, chat.shown[1], CONTROLS),
        lambda: chat.resume(engine, chat.shown[1], CONTROLS),
    ]
    for refused in tries:
        with pytest.raises(FullError):
            refused()
    assert texts(chat.shown) == ["x" * 600, "You said: " + "x" * 600]
    assert len(engine.requests) == 1


def test_a_question_that_would_not_fit_is_refused(replies: Replies, engine: ScriptedEngine) -> None:
    with pytest.raises(FullError):
        visitor(replies).ask(engine, "x" * (MOST + 1), CONTROLS)


def test_what_is_shared_counts_as_often_as_it_is_copied(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "x" * 200)  # which is said again: 410
    first = share(chat, "never")
    with pytest.raises(FullError):
        share(chat, "never")
    assert [one.id for one in shared_by(chat)] == [first.id]
    with pytest.raises(FullError):
        chat.ask(engine, "x" * 200, CONTROLS)
    withdraw(chat, first.id)
    ask(chat, engine, "x" * 200)


def test_a_link_that_has_expired_counts_no_more(
    replies: Replies, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.chats.sharing.EXPIRY_SECONDS", {"day": -1.0})
    chat = visitor(replies)
    ask(chat, engine, "x" * 200)
    for _ in range(4):
        share(chat, "day")
    ask(chat, engine, "x" * 200)


def test_others_still_may(replies: Replies, engine: ScriptedEngine) -> None:
    ask(visitor(replies), engine, "x" * 600)
    assert ask(visitor(replies, "two"), engine, "hello").text == "You said: hello"


def test_the_owner_has_no_bound(replies: Replies, engine: ScriptedEngine, chat: Chat) -> None:
    ask(chat, engine, "x" * 600)
    assert ask(chat, engine, "more").text == "You said: more"


def test_what_was_thrown_away_makes_room(replies: Replies, engine: ScriptedEngine) -> None:
    chat = visitor(replies)
    ask(chat, engine, "x" * 600)
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
    drafts = read_file(training("x" * 400, "y" * 400, "z" * 400)).drafts
    with pytest.raises(FullError):
        keep(replies.database, Asker("browser:one", limited=True), drafts)
    assert kept(replies, "browser:one") == 0


def test_a_file_that_fits_is_kept(replies: Replies) -> None:
    keep(replies.database, Asker("browser:one", limited=True), read_file(training("x" * 900)).drafts)
    assert kept(replies, "browser:one") == 1


def test_the_owner_may_bring_in_any_file(replies: Replies) -> None:
    keep(replies.database, Asker("owner"), read_file(training("x" * 900, "y" * 900)).drafts)
    assert kept(replies, "owner") == 2


def training(*questions: str) -> bytes:
    """A training set with one conversation for each question."""
    return b"\n".join(json.dumps({"messages": [{"role": "user", "content": one}]}).encode() for one in questions)


def kept(replies: Replies, reader: str) -> int:
    with replies.database.reading() as connection:
        return len(Conversations(connection, reader).ids())
