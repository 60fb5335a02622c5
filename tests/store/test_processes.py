import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import select

from components.store.database import Database
from components.store.messages import Messages
from components.store.processes import (
    SEEN_SECONDS,
    Processes,
    cut_orphans,
    database_time,
    operating_system,
    this_process,
)
from components.store.rows import ProcessRow, Reply
from components.store.schema import processes
from tests.server import ROOT
from tests.store.helpers import conversation, message

OWN, OTHER = "own", "other"

FAR = ProcessRow(OTHER, "another machine", 1, 0.0, 0.0)

WRITER = """
import sys
from components.store.database import Database
from components.store.messages import Messages
from components.store.processes import Processes, this_process
from components.store.rows import Reply
from tests.store.helpers import conversation, message
url, name = sys.argv[1:]
database = Database(url)
where = conversation(database)
with database.writing() as connection:
    Processes(connection).register(this_process(name))
    Messages(connection, where).add(reply := message(where, None, "Once upon", Reply(writer=name)))
print(where, reply.id, flush=True)
sys.stdin.read()
"""


def writing(database: Database, writer: str, end: str | None = None) -> tuple[str, int]:
    """A reply that a process writes, or wrote; gives where it is."""
    where = conversation(database)
    reply = message(where, None, "Once upon", Reply(end, writer=writer))
    with database.writing() as connection:
        Messages(connection, where).add(reply)
    return where, reply.id


def end_of(database: Database, reply: tuple[str, int]) -> str | None:
    with database.reading() as connection:
        kept = Messages(connection, reply[0]).get(reply[1]).reply
    assert kept is not None
    return kept.end


def register(database: Database, process: ProcessRow) -> None:
    with database.writing() as connection:
        Processes(connection).register(process)


def cut(database: Database, own: str = OWN, later: float = 0.0) -> int:
    with database.writing() as connection:
        return cut_orphans(connection, own, database_time(connection) + later)


def known(database: Database) -> Sequence[str]:
    with database.reading() as connection:
        return sorted(connection.execute(select(processes.c.id)).scalars())


@contextmanager
def other_process(url: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """A process that writes a reply, until it is ended."""
    command = [sys.executable, "-c", WRITER, url, OTHER]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            where, reply = process.stdout.readline().split()
            yield process, (where, int(reply))
        finally:
            process.kill()


def test_the_reply_of_a_process_that_was_killed_is_cut_at_once(database: Database, url: str) -> None:
    mine = writing(database, OWN)
    register(database, this_process(OWN))
    with other_process(url) as (process, reply):
        assert cut(database) == 0
        assert end_of(database, reply) is None
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
        assert cut(database) == 1
    assert end_of(database, reply) == "cut"
    assert end_of(database, mine) is None
    assert known(database) == [OWN]
    assert cut(database) == 0


def test_two_that_live_never_cut_each_others_replies(database: Database, url: str) -> None:
    register(database, this_process(OWN))
    mine = writing(database, OWN)
    with other_process(url) as (_, reply):
        for own in (OWN, OTHER):
            # Not even if one was not seen for an hour: a laptop that slept.
            assert cut(database, own) == cut(database, own, later=3600) == 0
        assert end_of(database, reply) is None
    assert end_of(database, mine) is None


def test_one_of_another_machine_is_dead_when_it_was_not_seen_for_long(database: Database) -> None:
    register(database, FAR)
    reply = writing(database, OTHER)
    assert cut(database, later=SEEN_SECONDS - 10) == 0
    assert end_of(database, reply) is None
    assert cut(database, later=SEEN_SECONDS + 10) == 1
    assert end_of(database, reply) == "cut"


def test_a_heartbeat_counts_by_the_clock_of_the_database(database: Database) -> None:
    register(database, FAR)
    with database.writing() as connection:
        connection.execute(processes.update().values(seen=0.0))
        assert Processes(connection).seen(OTHER)
    reply = writing(database, OTHER)
    assert cut(database) == 0
    assert end_of(database, reply) is None


def test_one_that_was_taken_for_dead_registers_again_and_goes_on(database: Database) -> None:
    register(database, FAR)
    where, reply = writing(database, OTHER)
    assert cut(database, later=SEEN_SECONDS + 10) == 1
    with database.writing() as connection:
        assert not Processes(connection).seen(OTHER)
        Processes(connection).register(FAR)
        Messages(connection, where).set_reply(reply, "Once upon a", (), Reply(writer=OTHER))
    assert end_of(database, (where, reply)) is None
    assert cut(database) == 0
    assert end_of(database, (where, reply)) is None


def test_what_was_written_by_somebody_unknown_is_cut(database: Database) -> None:
    unknown, mine = writing(database, "never registered"), writing(database, OWN)
    ended = writing(database, "never registered", "stop")
    assert cut(database) == 1
    assert [end_of(database, reply) for reply in (unknown, mine, ended)] == ["cut", None, "stop"]


def test_one_that_ended_is_forgotten(database: Database) -> None:
    register(database, FAR)
    with database.writing() as connection:
        Processes(connection).forget(OTHER)
    assert known(database) == []


def test_registering_twice_is_as_good_as_once(database: Database) -> None:
    for _ in range(2):
        register(database, this_process(OWN))
    assert known(database) == [OWN]


@pytest.mark.parametrize(
    ("change", "alive_when_seen", "alive_when_not"),
    [
        ({}, True, True),
        ({"started": 5.0}, True, False),  # another process has the number now, or the clock was set
        ({"pid": 2**22 + 5}, False, False),  # larger than any
        ({"host": "another machine"}, True, False),
    ],
)
def test_who_lives(database: Database, change: dict[str, object], alive_when_seen: bool, alive_when_not: bool) -> None:
    for later, alive in ((0.0, alive_when_seen), (SEEN_SECONDS + 10, alive_when_not)):
        register(database, replace(this_process(OTHER), **change))  # type: ignore[arg-type]
        writing(database, OTHER)
        assert cut(database, later=later) == (0 if alive else 1), later
        with database.writing() as connection:
            connection.execute(processes.delete())
            cut_orphans(connection, OWN)


def test_an_operating_system_is_the_same_for_all_its_processes() -> None:
    program = "from components.store.processes import operating_system; print(operating_system())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == operating_system()
