"""Which processes write replies, and what becomes of the replies of one that is no more.

A process that is killed leaves replies behind that nobody ends. Whether it lives, another process can tell

- at once, where both run under one operating system: no process has its number any more;
- else by the time at which it was last seen, by the clock of the database, which all of them share.
"""

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from sqlalchemy import Connection, Double, cast, delete, extract, func, select, update

from components.store.rows import ProcessRow
from components.store.schema import insert_new, processes, replies

SEEN_SECONDS = 30.0
"""Who was not seen for so long, by others than its own operating system, counts as dead."""

_SAME_START_SECONDS = 1.0


class Processes:
    """The table of the processes that write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, process: ProcessRow) -> None:
        """Note that a process writes, before it writes anything. Doing it again is as good as ``seen``."""
        row = {"id": process.id, "host": process.host, "pid": process.pid, "started": process.started}
        if not insert_new(self._connection, processes, row | {"seen": database_time(self._connection)}):
            self.seen(process.id)

    def seen(self, process: str) -> bool:
        """Note that a process lives; gives whether it is known. One that was taken for dead must register again."""
        now = {"seen": database_time(self._connection)}
        return self._connection.execute(update(processes).where(processes.c.id == process).values(now)).rowcount > 0

    def forget(self, process: str) -> None:
        """Note that a process has ended, and leaves nothing behind that it writes."""
        self._connection.execute(delete(processes).where(processes.c.id == process))

    def others(self, own: str) -> Sequence[ProcessRow]:
        """All but one."""
        rows = self._connection.execute(select(processes).where(processes.c.id != own))
        return [ProcessRow(**row._mapping) for row in rows]


def this_process(name: str) -> ProcessRow:
    """This process, under the id ``name``."""
    pid = os.getpid()
    return ProcessRow(name, operating_system(), pid, psutil.Process(pid).create_time(), 0.0)


def cut_orphans(connection: Connection, own: str, now: float | None = None) -> int:
    """End the replies that nobody writes any more, as cut; gives their number.

    Call it in a write transaction, at start and every few seconds.

    Args:
        connection: a write transaction.
        own: the id of the calling process.
        now: the time by the database's clock; None: ask it.
    """
    # The writers first: whoever writes is registered, so what begins in between is not taken for an orphan.
    open_replies = select(replies.c.writer).where(replies.c.end.is_(None), replies.c.writer != own).distinct()
    writers = set(connection.execute(open_replies).scalars())
    others = Processes(connection).others(own)
    now = database_time(connection) if now is None else now
    dead = {process.id for process in others if not is_alive(process, now)}
    orphaned = writers - {process.id for process in others} | dead
    orphans = update(replies).where(replies.c.end.is_(None), replies.c.writer.in_(orphaned))
    connection.execute(delete(processes).where(processes.c.id.in_(dead)))
    return connection.execute(orphans.values(end="cut")).rowcount


def is_alive(process: ProcessRow, now: float) -> bool:
    """Whether a process lives, as far as can be told from here."""
    was_seen = process.seen > now - SEEN_SECONDS
    if process.host != operating_system():
        return was_seen
    try:
        there = psutil.Process(process.pid)
        if there.status() == psutil.STATUS_ZOMBIE:
            return False
        # The start is reckoned from the wall clock; if that was set, both tell different times of the same process.
        return abs(there.create_time() - process.started) < _SAME_START_SECONDS or was_seen
    except psutil.NoSuchProcess:
        return False


def operating_system() -> str:
    """The same for processes that see each other's numbers, and for no others.

    A host's name is not enough: containers may share one, and have the same numbers for different processes.
    """
    parts = [socket.gethostname()]
    with suppress(OSError):  # only Linux has these
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - what it names is no path
    return " ".join(parts)


def database_time(connection: Connection) -> float:
    """Seconds since 1970 by the clock that all processes share: the server's, or this machine's for a file."""
    if connection.dialect.name == "sqlite":
        return time.time()
    query = select(cast(extract("epoch", func.clock_timestamp()), Double))
    return float(connection.execute(query).scalar_one())
