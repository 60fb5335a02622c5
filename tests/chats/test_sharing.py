"""What a reader shares: a copy of what the page shows, theirs alone to make and to withdraw."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.drafts import keep
from components.chats.exporting import export_markdown
from components.chats.importing import read_file
from components.chats.replies import Replies
from components.chats.sharing import (
    Expiry,
    NotKeptError,
    TooManySharesError,
    copy_of,
    share,
    shared_as,
    shared_by,
    withdraw,
)
from components.chats.titles import title_of
from components.store.conversations import Conversations
from components.store.errors import NotFoundError, StoreError
from tests.chats.helpers import CONTROLS, ask, finish, texts, wait_until
from tests.scripted_engine import ScriptedEngine, endless


@contextmanager
def store_away(replies: Replies, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While the database can be read but not written."""

    @contextmanager
    def refuse(**_: object) -> Iterator[None]:
        raise StoreError("The disk is full.")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(replies.database, "writing", refuse)
        yield


@pytest.mark.parametrize(("expiry", "days"), [("day", 1), ("week", 7), ("never", None)])
def test_how_long_it_can_be_read_is_chosen(
    chat: Chat, engine: ScriptedEngine, expiry: Expiry, days: int | None
) -> None:
    ask(chat, engine, "hello")

    made = share(chat, expiry)

    assert (made.expires is None) == (days is None)
    if made.expires is not None and days is not None:
        assert abs(made.expires - made.created - days * 86_400) < 60


SECRET = "Karen from accounting stole my lunch, what now? " + "And why? " * 20


@pytest.mark.parametrize("first", ["Karen stole my lunch", SECRET, "  Karen\n stole  my lunch "])
def test_a_title_from_a_question_on_another_branch_stays_there(chat: Chat, engine: ScriptedEngine, first: str) -> None:
    ask(chat, engine, first)
    asked = chat.shown[0]
    chat.edit(engine, asked, "How do I handle a conflict?", CONTROLS)
    finish(chat)

    assert share(chat, "never").title == "How do I handle a conflict?"
    assert "Karen" not in export_markdown(chat)
    assert "Karen" in chat.conversation.title, "one's own list is as it was"

    chat.select(asked.id)
    chat.refresh()
    assert share(chat, "never").title == title_of(first)


def test_the_title_of_an_imported_conversation_that_begins_with_a_reply_tells_nothing_either(
    chat: Chat, engine: ScriptedEngine
) -> None:
    turns = [("assistant", "Good morning!"), ("user", "Karen stole my lunch"), ("assistant", "Oh")]
    draft = read_file(json.dumps([{"role": role, "content": text} for role, text in turns]).encode()).drafts[0]
    keep(chat.replies.database, chat.asker, [draft])
    opened = Chat.open(chat.asker, chat.replies, draft.conversation.id)
    assert opened.conversation.title == "Karen stole my lunch"
    opened.edit(engine, opened.shown[1], "How do I handle a conflict?", CONTROLS)
    finish(opened)
    assert share(opened, "never").title == "How do I handle a conflict?"


def test_a_title_that_was_given_is_the_title_of_every_branch(chat: Chat, engine: ScriptedEngine) -> None:
    ask(chat, engine, "hello")
    with chat.replies.database.writing() as connection:
        Conversations(connection, chat.asker.reader).change(chat.conversation.id, title="Greetings")
    chat.refresh()
    chat.edit(engine, chat.shown[0], "good morning", CONTROLS)
    finish(chat)
    assert share(chat, "never").title == "Greetings"


def test_what_is_still_being_written_is_shared_as_far_as_it_is(chat: Chat, engine: ScriptedEngine) -> None:
    engine.script = endless
    chat.ask(engine, "write on", CONTROLS)
    wait_until(lambda: bool(chat.last and chat.now(chat.last).text))

    made = share(chat, "never")

    assert made.content[-1].text.startswith("x")
    chat.stop()
    finish(chat)
    assert len(chat.shown[-1].text) >= len(made.content[-1].text)


def test_a_new_conversation_is_not_there_to_be_shared(chat: Chat) -> None:
    with pytest.raises(NotKeptError):
        share(chat, "day")


def test_it_waits_for_what_was_said_last_to_be_kept(
    chat: Chat, engine: ScriptedEngine, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store_away(replies, monkeypatch):
        chat.ask(engine, "hello", CONTROLS)
        wait_until(lambda: chat.writing is None)
        monkeypatch.setattr("components.chats.sharing.SETTLE_SECONDS", 0.1)
        with pytest.raises(NotKeptError):
            share(chat, "day")
    monkeypatch.setattr("components.chats.sharing.SETTLE_SECONDS", 60.0)

    assert [said.text for said in share(chat, "day").content] == ["hello", "You said: hello"]


def test_nobody_shares_or_withdraws_what_is_somebody_elses(chat: Chat, engine: ScriptedEngine) -> None:
    ask(chat, engine, "hello")
    made = share(chat, "never")
    stranger = replace(chat, asker=Asker("browser:stranger"))

    with pytest.raises(NotFoundError):
        share(stranger, "never")
    with pytest.raises(NotFoundError):
        withdraw(stranger, made.id)
    assert shared_by(stranger) == []
    assert [one.id for one in shared_by(chat)] == [made.id]


def test_there_is_a_most_that_one_reader_shares(
    chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.chats.sharing.MOST_SHARES", 2)
    ask(chat, engine, "hello")
    first, _ = share(chat, "never"), share(chat, "never")
    with pytest.raises(TooManySharesError):
        share(chat, "never")
    withdraw(chat, first.id)
    assert share(chat, "never")


def test_what_was_withdrawn_or_has_expired_is_there_for_nobody(
    chat: Chat, engine: ScriptedEngine, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(chat, engine, "hello")
    withdrawn = share(chat, "never")
    withdraw(chat, withdrawn.id)
    monkeypatch.setattr("components.chats.sharing.time.time", lambda: time.time_ns() / 1e9 - 2 * 86_400)
    expired = share(chat, "day")
    monkeypatch.undo()

    for gone in (withdrawn, expired):
        with pytest.raises(NotFoundError):
            shared_as(replies.database, gone.id)
    assert shared_by(chat) == []


def test_a_copy_goes_on_as_the_readers_own(chat: Chat, engine: ScriptedEngine, replies: Replies) -> None:
    ask(chat, engine, "hello")
    made = share(chat, "never")

    draft = copy_of(made)
    keep(replies.database, Asker("browser:other"), [draft])

    copied = Chat.open(Asker("browser:other"), replies, draft.conversation.id)
    ask(copied, engine, "and on")
    assert texts(copied.shown) == ["hello", "You said: hello", "and on", "You said: and on"]
    chat.refresh()
    assert texts(chat.shown) == ["hello", "You said: hello"]
