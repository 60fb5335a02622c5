"""Backs conversations up, restores them, and moves them between databases: all rows, table by table.

A back-up is a SQLite file of this application, whichever database it was made of. Which processes write is not moved:
they write to no other database.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select

from components.store.database import Database
from components.store.errors import LaterVersionError, StoreError
from components.store.faults import explain
from components.store.postgres import ENDLESS
from components.store.processes import Processes, database_time, is_alive
from components.store.schema import conversations, messages, metadata, presets, processes, sheets

TABLES = [table for table in metadata.sorted_tables if table is not processes]

ROWS_AT_ONCE = 500

_HEAD = b"SQLite format 3\0"

Counts = Mapping[str, int]
"""Rows by table."""


def back_up(database: Database, file: Path) -> Counts:
    """Write all conversations of one moment to a new file, while others use the database.

    Raises:
        StoreError: the database cannot be read, or the file cannot be written.
    """
    if file.exists():
        raise StoreError(f"{file} exists already. Name a new file, or delete that one.")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            part = Path(folder) / file.name
            part.touch(mode=0o600)
            if database.file is not None:
                _copy_file(database.file, part)
            else:
                with _opened(part) as target, target.writing() as writing, _whole(database) as reading:
                    copy(reading, writing)
            counts = _close_file(part)
            part.rename(file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}.") from error
    return counts


def restore(file: Path, database: Database, *, replace: bool = False) -> Counts:
    """Put what a back-up holds into a database that is empty, or whose conversations it may replace.

    Raises:
        StoreError: the file is no back-up, the database holds conversations, or cannot be written.
    """
    _check_file(file)
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "chats.db"
        _copy_file(file, copied)
        with _opened(copied) as source:
            try:
                source.migrate()  # a back-up may be older than this version
            except LaterVersionError:
                reason = "was made by a later version of this application. Restore it with that."
                raise StoreError(f"{file} {reason}") from None
            return _fill(source, database, replace=replace)


def move(source: Database, target: Database) -> Counts:
    """Copy all conversations to an empty database. The old one stays as it is.

    Raises:
        StoreError: a server uses the old one, the new one is not empty, or one of them cannot be used.
    """
    if source.url == target.url:
        raise StoreError(f"The conversations are in {target.name} already.")
    with source.reading() as connection:
        now = database_time(connection)
        if any(is_alive(process, now) for process in Processes(connection).others("")):
            raise StoreError(
                f"A server uses {source.name}. Stop it first: what it writes meanwhile would be left behind. "
                "If it was killed on another machine, wait for half a minute."
            )
    return _fill(source, target, replace=False)


def copy(source: Connection, target: Connection) -> Counts:
    """All rows, a few at a time."""
    counts = {}
    for table in TABLES:
        query = select(table)
        if table is messages:
            query = query.order_by(messages.c.depth)  # what is followed comes first
        counts[table.name] = 0
        with source.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
            for part in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in part])
                counts[table.name] += len(part)
    return counts


def count(connection: Connection, table: Table) -> int:
    """The rows of a table."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _fill(source: Database, target: Database, *, replace: bool) -> Counts:
    with _whole(source) as reading, target.writing(patience=ENDLESS) as writing:
        for table in (conversations, presets, sheets):  # the others go with these
            if there := count(writing, table):
                if not replace:
                    raise StoreError(f"{target.name} holds {table.name} already: {there}. Name one that is empty.")
                writing.execute(delete(table))
        return copy(reading, writing)


def _whole(database: Database) -> contextlib.AbstractContextManager[Connection]:
    """All of one moment, however long it takes to read."""
    return database.reading(one_moment=True, patience=ENDLESS)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{file}")
    try:
        yield database
    finally:
        database.close()


def _copy_file(source: Path, target: Path) -> None:
    """SQLite's own copy, of one moment, whoever writes meanwhile."""
    if not source.exists():
        raise StoreError(f"There is no {source} yet.")
    try:
        with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be copied to {target.parent}: {explain(error)}") from error


def _close_file(file: Path) -> Counts:
    """Make it one file, without those that SQLite keeps beside it; gives what is in it."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").close()
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table.name: connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            for table in TABLES
            if table.name in tables
        }


def _check_file(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            is_sqlite = opened.read(len(_HEAD)) == _HEAD
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}.") from error
    try:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            names = "SELECT count(*) FROM sqlite_master WHERE name IN ('alembic_version', 'conversations')"
            if is_sqlite and connection.execute(names).fetchone() == (2,):
                return
    except sqlite3.Error as error:
        raise StoreError(f"{file} cannot be read: {explain(error)}") from error
    raise StoreError(f"{file} is no back-up of conversations. Name a file that was made by: python data.py backup FILE")
