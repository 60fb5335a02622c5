"""A database that neither answers nor refuses keeps nobody for long, and everybody only once."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import StoreError
from components.store.messages import Messages
from components.store.postgres import ENDLESS, PATIENT, USUAL, Patience
from tests.conftest import Clock
from tests.postgres import Cluster
from tests.store.helpers import READER, conversation
from tests.store.test_faults import refused, works

PATIENCE_OF_TESTS = 60
"""Seconds after which a thread that still waits will wait for ever."""


@pytest.fixture
def url(postgres: Cluster, postgres_template: str) -> Iterator[str]:
    with postgres.database(postgres_template) as url:
        yield url


@pytest.fixture
def database(url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr("components.store.database.time", SimpleNamespace(monotonic=clock))
    database = Database(url)
    works(database)
    yield database
    database.close()


def read(database: Database) -> None:
    with database.reading() as connection:
        Messages(connection, "nowhere").all()


def write(database: Database) -> None:
    conversation(database)


def outcome(do: Callable[[], None]) -> str:
    """What comes of it, "" if nothing bad; whoever waits for it for ever fails the test, and does not hold it up."""
    said: list[str] = []

    def done() -> None:
        try:
            do()
        except StoreError as error:
            said.append(str(error))
        else:
            said.append("")

    thread = threading.Thread(target=done, daemon=True)
    thread.start()
    thread.join(PATIENCE_OF_TESTS)
    assert said, "it waits for ever"
    return said[0]


@pytest.mark.parametrize(("table", "do"), [("messages", read), ("conversations", write)])
def test_a_table_that_another_program_keeps_locked(
    database: Database, postgres: Cluster, url: str, clock: Clock, table: str, do: Callable[[Database], None]
) -> None:
    with postgres.locked(url, table):
        assert "End that program's transaction" in outcome(lambda: do(database))
    clock.now += 10
    do(database)


@pytest.mark.parametrize("do", [read, write])
def test_a_server_that_hangs(
    database: Database, postgres: Cluster, clock: Clock, do: Callable[[Database], None]
) -> None:
    with postgres.hanging():
        assert "no server answers there in time" in outcome(lambda: do(database))
    clock.now += 10
    works(database)


def test_a_server_that_begins_to_hang_within_a_transaction(database: Database, postgres: Cluster, clock: Clock) -> None:
    def begin() -> None:
        with database.reading(patience=Patience(1, 1, 1)) as connection, postgres.hanging():
            Conversations(connection, READER).list(5)

    assert "it hangs" in outcome(begin)
    clock.now += 10
    works(database)


def test_who_comes_next_does_not_wait_as_well(database: Database, postgres: Cluster, clock: Clock) -> None:
    with postgres.hanging():
        outcome(lambda: read(database))
    for do in (read, write):  # though it would answer by now
        with refused("no server answers there in time"):
            do(database)
    clock.now += 10
    works(database)


def test_a_writer_who_waits_for_a_row_holds_up_nobody_else(database: Database, url: str) -> None:
    where = conversation(database)
    other = Database(url)
    with other.writing() as connection:
        Conversations(connection, READER).change(where, title="other")
        assert "locked" in outcome(lambda: _rename(database, where))
        read(database)
        works(database)
    other.close()


def _rename(database: Database, where: str) -> None:
    with database.writing() as connection:
        Conversations(connection, READER).change(where, title="mine")


@pytest.mark.parametrize(("patience", "said"), [(USUAL, "2s 10s"), (PATIENT, "10s 2min"), (ENDLESS, "0 0")])
def test_a_transaction_waits_as_long_as_was_said(database: Database, patience: Patience, said: str) -> None:
    query = "SELECT current_setting('lock_timeout') || ' ' || current_setting('statement_timeout')"
    with database.writing(patience=patience) as connection:
        assert connection.exec_driver_sql(query).scalar_one() == said
    with database.reading() as connection:
        assert connection.exec_driver_sql(query).scalar_one() == "2s 10s"
