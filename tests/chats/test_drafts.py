"""What is brought in is written in short transactions, and is seen all at once or never."""

import json
import time
from typing import Any

import pytest
from sqlalchemy import Connection, event

from components.chats.asker import Asker
from components.chats.drafts import ROWS_AT_ONCE, Draft, keep
from components.chats.importing import read_file
from components.store import bulk
from components.store.conversations import Conversations, purge
from components.store.database import Database
from components.store.errors import ConflictError, NotFoundError, StoreError
from components.store.messages import Messages

READER = Asker("browser:one")


def drafts(*lengths: int, text: str = "text") -> list[Draft]:
    """Conversations of so many messages."""
    values = [
        {"messages": [{"role": ("user", "assistant")[number % 2], "content": text} for number in range(length)]}
        for length in lengths
    ]
    return list(read_file(json.dumps(values).encode()).drafts)


def seen(database: Database) -> list[str]:
    with database.reading() as connection:
        return [one.id for one in Conversations(connection, READER.reader).list(100)]


def kept(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(Conversations(connection, READER.reader).ids())


@pytest.mark.parametrize(
    "lengths", [(1,), (2, 3), (ROWS_AT_ONCE * 3,), (ROWS_AT_ONCE - 1, ROWS_AT_ONCE), (1,) * (ROWS_AT_ONCE + 1)]
)
def test_all_of_it_is_kept(database: Database, lengths: tuple[int, ...]) -> None:
    brought_in = drafts(*lengths)

    keep(database, READER, brought_in)

    with database.reading() as connection:
        for draft in brought_in:
            assert Conversations(connection, READER.reader).get(draft.conversation.id).leaf == draft.messages[-1][0].id
            messages = Messages(connection, draft.conversation.id)
            assert messages.branch(draft.conversation.leaf, None) == [message for message, _ in draft.messages]


@pytest.mark.parametrize(("length", "text"), [(3_000, "text"), (60, "字" * 100_000)], ids=["many", "long"])
def test_no_transaction_writes_much(
    database: Database, length: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    characters: list[int] = []

    def insert_rows(connection: Connection, some: bulk.Rows) -> None:
        rows.append(len(some.messages))
        characters.append(sum(len(one["text"]) for one in some.messages))
        bulk.insert_rows(connection, some)

    monkeypatch.setattr("components.chats.drafts.insert_rows", insert_rows)
    keep(database, READER, drafts(length, text=text))

    assert sum(rows) == length
    assert max(rows) <= ROWS_AT_ONCE
    assert max(characters) < 1_000_000


def test_statements_are_few(database: Database) -> None:
    statements: list[str] = []
    database.migrate()
    event.listen(database._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    keep(database, READER, drafts(5_000))

    assert len(statements) < 100


def test_nothing_is_seen_before_everything_is_there(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[str]] = []

    def look(_: float) -> None:
        found.append(seen(database))

    monkeypatch.setattr("components.chats.drafts.time.sleep", look)
    brought_in = drafts(3, ROWS_AT_ONCE * 2, 5)
    keep(database, READER, brought_in)

    assert len(found) > 2
    assert not any(found)
    assert set(seen(database)) == {draft.conversation.id for draft in brought_in}


@pytest.mark.parametrize("after", [0, 1, 3])
def test_of_what_fails_nothing_is_left(database: Database, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def insert_rows(connection: Connection, some: bulk.Rows) -> None:
        if len(calls) == after:
            raise StoreError("The disk is full.")
        calls.append(some)
        bulk.insert_rows(connection, some)

    monkeypatch.setattr("components.chats.drafts.insert_rows", insert_rows)
    with pytest.raises(StoreError):
        keep(database, READER, drafts(3, ROWS_AT_ONCE * 2, ROWS_AT_ONCE, 5))

    assert kept(database) == []


def test_of_what_is_deleted_meanwhile_nothing_is_left(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def delete_everything(_: float) -> None:
        with database.writing() as connection:
            Conversations(connection, READER.reader).delete_everything()

    monkeypatch.setattr("components.chats.drafts.time.sleep", delete_everything)
    with pytest.raises(ConflictError):
        keep(database, READER, drafts(3, ROWS_AT_ONCE * 2))

    assert kept(database) == []


def test_it_is_not_in_the_bin_meanwhile(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes half of it from there, and another tab that needs room does not delete it."""
    found: list[Any] = []
    brought_in = drafts(ROWS_AT_ONCE * 2)

    def look(_: float) -> None:
        with database.writing() as connection:
            mine = Conversations(connection, READER.reader)
            found.extend(mine.deleted())
            with pytest.raises(NotFoundError):
                mine.restore(brought_in[0].conversation.id)
            mine.empty_bin()
            purge(connection, time.time() + 60)

    monkeypatch.setattr("components.chats.drafts.time.sleep", look)
    keep(database, READER, brought_in)

    assert found == []
    assert seen(database) == [brought_in[0].conversation.id]


def test_what_a_killed_server_left_is_purged(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(BaseException):
        pass

    def die(_: float) -> None:
        raise KilledError

    monkeypatch.setattr("components.chats.drafts.time.sleep", die)
    with pytest.raises(KilledError):
        keep(database, READER, drafts(ROWS_AT_ONCE * 2))

    assert seen(database) == []
    began = time.time()
    for later, is_left in ((0.9, True), (1.1, False)):
        monkeypatch.setattr("components.store.conversations.time.time", lambda late=later * 86_400: began + late)
        with database.writing() as connection:
            purge(connection, 0)
        assert bool(kept(database)) == is_left
