"""Several tabs on one conversation: each stays on the branch that it shows, and loses nothing of what is done in it."""

from dataclasses import replace
from itertools import pairwise

import pytest

from components.chats.chat import Chat
from components.chats.keeper import Keeper
from components.chats.replies import Replies
from components.chats.view import AROUND, WINDOW
from components.store.conversations import Conversations
from components.store.errors import NotFoundError, StoreError
from components.store.messages import Messages
from components.store.rows import Message
from tests.chats.helpers import CONTROLS, ask, asked, finish, texts
from tests.scripted_engine import ScriptedEngine
from tests.store.helpers import message, said


@pytest.fixture
def other(chat: Chat, engine: ScriptedEngine) -> Chat:
    """The same conversation, of one question, in another tab."""
    ask(chat, engine, "a cat")
    return Chat.open(chat.asker, chat.replies, chat.conversation.id)


def test_a_question_goes_behind_what_its_tab_shows(chat: Chat, other: Chat, engine: ScriptedEngine) -> None:
    ask(chat, engine, "black")
    other.refresh()
    other.edit(engine, other.shown[0], "a dog", CONTROLS)
    finish(other)

    chat.refresh()
    ask(chat, engine, "what does it eat?")

    assert asked(engine) == ["a cat", "You said: a cat", "black", "You said: black", "what does it eat?"]
    other.refresh()
    assert texts(other.shown) == ["a dog", "You said: a dog"]


def test_what_another_tab_wrote_behind_it_is_followed(chat: Chat, other: Chat, engine: ScriptedEngine) -> None:
    ask(chat, engine, "black")
    other.refresh()
    assert texts(other.shown)[2:] == ["black", "You said: black"]


def test_what_was_written_behind_it_before_another_branch_is_followed(
    chat: Chat, other: Chat, engine: ScriptedEngine
) -> None:
    ask(chat, engine, "black")
    chat.edit(engine, chat.shown[0], "a dog", CONTROLS)
    finish(chat)
    other.refresh()
    assert texts(other.shown) == ["a cat", "You said: a cat", "black", "You said: black"]


def test_a_question_is_edited_after_another_tab_has_gone_elsewhere(
    chat: Chat, other: Chat, engine: ScriptedEngine
) -> None:
    edited = chat.shown[0]
    other.edit(engine, edited, "a dog", CONTROLS)
    finish(other)
    chat.refresh()
    assert edited.id in [one.id for one in chat.shown], "the field to edit it is still there"
    chat.edit(engine, edited, "a cow", CONTROLS)
    finish(chat)
    assert asked(engine) == ["a cow"]
    assert len(chat.siblings[chat.shown[0].id]) == 3


def test_a_new_tab_shows_what_was_shown_last(chat: Chat, other: Chat, engine: ScriptedEngine) -> None:
    other.edit(engine, other.shown[0], "a dog", CONTROLS)
    finish(other)
    again = Chat.open(chat.asker, chat.replies, chat.conversation.id)
    assert texts(again.shown) == ["a dog", "You said: a dog"]


def test_what_waits_to_be_kept_is_not_said_to_be_gone(
    chat: Chat, engine: ScriptedEngine, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError):
        Chat.open(chat.asker, replies, "nowhere")
    with monkeypatch.context() as patched:
        # Of the class, so that the keeper's thread does not find the database well meanwhile, and forget it.
        patched.setattr(Keeper, "problem", property(lambda _: "The disk is full.", lambda *_: None), raising=False)
        with pytest.raises(StoreError, match="The disk is full"):
            Chat.open(chat.asker, replies, "nowhere")


LENGTH = 400


@pytest.fixture
def long(chat: Chat, engine: ScriptedEngine) -> Chat:
    """A conversation of 200 questions."""
    ask(chat, engine, "a cat")
    database = chat.replies.database
    branch = said(database, chat.conversation.id, *(f"message {number}" for number in range(LENGTH)))
    with database.writing() as connection:
        Conversations(connection, chat.asker.reader).change(chat.conversation.id, leaf=branch[-1].id)
    return Chat.open(chat.asker, chat.replies, chat.conversation.id)


def drawn(chat: Chat) -> list[int]:
    """The depths of the messages that are drawn; they are of one branch, and told of each are its siblings."""
    for before, after in pairwise(chat.drawn):
        assert after.parent == before.id or after.depth == before.depth + 1 + chat.between
    assert set(chat.siblings) == {one.id for one in chat.drawn}
    return [one.depth for one in chat.drawn]


def at(chat: Chat, depth: int) -> Message:
    with chat.replies.database.reading() as connection:
        assert chat.last is not None
        [found] = Messages(connection, chat.conversation.id).stretch(chat.last.id, depth, depth)
        return found


@pytest.mark.parametrize("depth", [0, 3, AROUND, 100, LENGTH - WINDOW - AROUND - 2])
def test_what_was_found_far_up_is_shown_with_what_stands_around(long: Chat, depth: int) -> None:
    found = at(long, depth)
    long.find(found.id)
    around = list(range(max(0, depth - AROUND), depth + AROUND + 1))
    last = list(range(LENGTH - WINDOW, LENGTH))
    assert drawn(long) == [*around, *last]
    assert long.earlier == around[0]
    assert long.between == last[0] - around[-1] - 1
    assert long.found == found.id
    long.refresh()
    assert drawn(long) == [*around, *last]


@pytest.mark.parametrize("depth", [LENGTH - WINDOW - AROUND - 1, LENGTH - WINDOW - 1, LENGTH - WINDOW, LENGTH - 1])
def test_what_was_found_near_the_end_is_shown_with_all_behind_it(long: Chat, depth: int) -> None:
    long.find(at(long, depth).id)
    assert drawn(long) == list(range(min(depth - AROUND, LENGTH - WINDOW), LENGTH))
    assert long.between == 0
    assert long.last is not None
    assert long.last.depth == LENGTH - 1


def test_more_is_shown_before_and_behind_it_until_all_is(long: Chat) -> None:
    long.find(at(long, 100).id)
    long.show_earlier()
    long.refresh()
    assert drawn(long)[0] == 100 - AROUND - WINDOW
    while long.between:
        before = long.between
        long.show_between()
        long.refresh()
        assert long.between < before
    assert drawn(long) == list(range(100 - AROUND - WINDOW, LENGTH))
    while long.earlier:
        long.show_earlier()
        long.refresh()
    assert drawn(long) == list(range(LENGTH))


def test_the_branch_that_is_shown_stays_though_the_message_has_a_newer_one(long: Chat) -> None:
    found = at(long, 100)
    with long.replies.database.writing() as connection:
        newer = message(long.conversation.id, found, "newer")
        Messages(connection, long.conversation.id).add(newer)
    long.find(found.id)
    assert drawn(long)[-1] == LENGTH - 1


def test_a_message_of_another_branch_is_found_there(long: Chat, engine: ScriptedEngine) -> None:
    there = at(long, 100)
    first = Chat.open(long.asker, long.replies, long.conversation.id)
    first.find(at(long, 2).id)
    first.edit(engine, first.older[2], "elsewhere", CONTROLS)
    finish(first)
    assert texts(first.drawn) == ["message 0", "message 1", "elsewhere", "You said: elsewhere"]
    first.find(there.id)
    assert there.id in [one.id for one in first.drawn]
    assert drawn(first)[-1] == LENGTH - 1


def test_nobody_finds_what_is_somebody_elses(long: Chat, engine: ScriptedEngine) -> None:
    theirs = Chat.new(replace(long.asker, reader="browser:two"), long.replies)
    secret = ask(theirs, engine, "secret")
    before = drawn(long)
    with pytest.raises(NotFoundError):
        long.find(secret.id)
    assert drawn(long) == before
