"""The scores of replies: kept with them, gone with them, and of each reader only so many."""

import pytest
from sqlalchemy import func, select

from components.store import scores
from components.store.conversations import Conversations, purge
from components.store.database import Database
from components.store.messages import Messages
from components.store.rows import Message, Reply
from components.store.schema import scores as table
from components.store.scores import Scores
from tests.store.helpers import READER, STRANGER, conversation, message, said


def reply(database: Database, where: str, after: Message) -> Message:
    one = message(where, after, "reply", Reply("stop", writer="p"))
    with database.writing() as connection:
        Messages(connection, where).add(one)
    return one


def put(database: Database, one: Message, content: bytes | None) -> None:
    with database.writing() as connection:
        Scores(connection, one.conversation).put(one.id, content)


def get(database: Database, one: Message) -> bytes | None:
    with database.reading() as connection:
        return Scores(connection, one.conversation).get(one.id)


def count(database: Database) -> int:
    with database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_scores_are_kept_replaced_and_taken_away(database: Database) -> None:
    where = conversation(database)
    one = reply(database, where, said(database, where, "hello")[-1])
    assert get(database, one) is None
    put(database, one, b"\0\xff" * 50_000)
    assert get(database, one) == b"\0\xff" * 50_000
    put(database, one, b"new")
    assert get(database, one) == b"new"
    put(database, one, None)
    assert get(database, one) is None


def test_another_conversation_has_and_gets_none_of_them(database: Database) -> None:
    where, other = conversation(database), conversation(database, STRANGER)
    one = reply(database, where, said(database, where, "hello")[-1])
    put(database, one, b"mine")
    with database.writing() as connection:
        assert Scores(connection, other).get(one.id) is None
        Scores(connection, other).put(one.id, b"theirs")
        Scores(connection, other).put(5, b"of a message that is gone")
    assert get(database, one) == b"mine"
    assert count(database) == 1


def test_scores_go_with_the_message(database: Database) -> None:
    where, other = conversation(database), conversation(database, STRANGER)
    for each in (where, other):
        put(database, reply(database, each, said(database, each, "hello")[-1]), b"scores")
    with database.writing() as connection:
        Conversations(connection, READER).delete_everything()
    assert count(database) == 1
    with database.writing() as connection:
        Conversations(connection, STRANGER).delete(other)
        purge(connection, 5e9)
    assert count(database) == 0


def test_a_reader_keeps_those_of_the_newest_replies(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "KEPT_REPLIES", 3)
    first, second, theirs = conversation(database), conversation(database), conversation(database, STRANGER)
    stranger = reply(database, theirs, said(database, theirs, "hello")[-1])
    put(database, stranger, b"theirs")
    replies = []
    for where in (first, second, first, second, first):
        replies.append(reply(database, where, said(database, where, "hello")[-1]))
        put(database, replies[-1], b"scores")
    assert [get(database, one) for one in replies] == [None, None, b"scores", b"scores", b"scores"]
    assert get(database, stranger) == b"theirs"
