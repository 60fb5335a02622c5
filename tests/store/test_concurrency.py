"""Many threads and several processes over one database: nobody is turned away, nothing is lost."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from components.store.rows import Conversation, Message, new_conversation_id, new_message_id
from tests.store.helpers import READER

PROCESSES, THREADS, TRANSACTIONS = 2, 8, 15


def write(url: str, where: str) -> int:
    """What each process does: its threads all write to the same conversation, and read it in between."""
    database = Database(url)

    def work(_: int) -> int:
        for number in range(TRANSACTIONS):
            with database.writing() as connection:
                mine = Conversations(connection, READER)
                mine.add(Conversation(where, READER))
                # What was read in a write transaction is still so when it writes.
                leaf = mine.get(where).leaf
                new = Message(new_message_id(), where, leaf, 0, "user", str(number))
                Messages(connection, where).add(new)
                mine.change(where, leaf=new.id)
            with database.reading() as connection:
                assert Messages(connection, where).branch(new.id, 3)[-1] == Messages(connection, where).get(new.id)
        return TRANSACTIONS

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(work, range(THREADS)))
    finally:
        database.close()


def test_nobody_is_turned_away_and_nothing_is_lost(empty_url: str) -> None:
    where = new_conversation_id()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, spawn) as pool:
        written = sum(future.result() for future in [pool.submit(write, empty_url, where) for _ in range(PROCESSES)])
    database = Database(empty_url)
    with database.reading() as connection:
        assert len(Messages(connection, where).all()) == written == PROCESSES * THREADS * TRANSACTIONS
        if database.is_sqlite:  # writers take turns from their beginning, so each followed the one before
            leaf = Conversations(connection, READER).get(where).leaf
            assert len(Messages(connection, where).branch(leaf, None)) == written
    database.close()


def test_two_transactions_of_two_processes_over_one_conversation(database: Database, url: str) -> None:
    """The second writer waits for the first, and then sees what it wrote."""
    other = Database(url)
    where = new_conversation_id()
    with database.writing() as connection:
        Conversations(connection, READER).add(Conversation(where, READER))

    def rename() -> None:
        with other.writing() as connection:
            Conversations(connection, READER).change(where, title="second")

    with ThreadPoolExecutor(1) as pool:
        with database.writing() as connection:
            Conversations(connection, READER).change(where, title="first", pinned=True)
            second = pool.submit(rename)
            with other.reading() as reading:  # who reads waits for nobody
                assert Conversations(reading, READER).get(where).title == ""
        second.result()
    with database.reading() as connection:
        kept = Conversations(connection, READER).get(where)
        assert (kept.title, kept.pinned) == ("second", True)
    other.close()


def test_message_ids_grow_in_every_thread_and_differ_between_them() -> None:
    def several(_: int) -> list[int]:
        return [new_message_id() for _ in range(2000)]

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(several, range(THREADS)))
    assert all(ids == sorted(ids) for ids in made)
    assert len({one for ids in made for one in ids}) == THREADS * 2000
