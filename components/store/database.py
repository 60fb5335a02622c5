"""The connection to the database: where it is, how it is opened, and what its errors mean."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from components.settings import ENV_PREFIX, SettingsError, get_settings
from components.store import migrating, postgres
from components.store.errors import ConflictError, LaterVersionError, StoreError
from components.store.faults import explain, is_refused, refusal
from components.store.postgres import ENDLESS, USUAL, BoundedConnection, Patience

FILE_NAME = "chats.db"
"""Of the SQLite database in the data folder."""

BUSY_SECONDS = 10
"""How long a writer waits for another one over SQLite, whose readers wait for nobody."""

CLEAR_SECONDS = 1
"""How long it is waited for that nobody reads, to clear the log of what was deleted."""

POOL_SECONDS = 5
"""How long anybody waits while all connections are in use."""

AGAIN_SECONDS = 2.0
"""A server that gave no answer in time is left alone for so long: else all would wait for it, one after another."""

_File = tuple[int, int]
"""Device and inode."""


class Database:
    """A database of conversations. All methods may be called from any thread.

    The tables are made, or brought up to date, with the first transaction: a database that is away when the server
    starts must not keep it from starting.
    """

    def __init__(self, url: str) -> None:
        """``url`` is SQLAlchemy's, such as ``sqlite:///data/chats.db`` or ``postgresql://user:password@host/name``.

        Raises:
            SettingsError: it is no URL of a database that this application can use.
        """
        self._url = _checked(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.file = Path(self._url.database) if self.is_sqlite and self._url.database else None
        options = {"timeout": BUSY_SECONDS} if self.is_sqlite else postgres.PARAMETERS
        self._engine = create_engine(
            self._url,
            pool_pre_ping=not self.is_sqlite,
            pool_timeout=POOL_SECONDS,
            connect_args=options,
            hide_parameters=True,  # what readers wrote must not get into the log with an error
        )
        self._migrated: _File | bool = False
        self._lock = threading.Lock()
        self._failure: StoreError | None = None
        self._failed_at = 0.0
        self._hanging: dict[bool, tuple[StoreError, float]] = {}  # by whether it writes: why it is not tried until when
        if self.is_sqlite:
            event.listen(self._engine, "connect", self._prepare_sqlite)
            event.listen(self._engine, "checkout", self._check_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            event.listen(self._engine, "do_connect", _connect_postgres)
            event.listen(self._engine, "checkin", _return_postgres)
            event.listen(self._engine, "begin", _begin_postgres)

    @property
    def url(self) -> str:
        """With the password, as another ``Database`` takes it."""
        return self._url.render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """The database for people to read, without the password."""
        return self._url.set(drivername=self._url.get_backend_name()).render_as_string(hide_password=True)

    @contextmanager
    def reading(self, *, one_moment: bool = False, patience: Patience = USUAL) -> Iterator[Connection]:
        """A transaction that only reads; all of ``one_moment``, if that matters, whoever writes meanwhile.

        ``patience`` is for PostgreSQL.

        Raises:
            StoreError: the database cannot be read at present.
        """
        with self._transaction(writes=False, one_moment=one_moment, patience=patience) as connection:
            yield connection

    @contextmanager
    def writing(self, *, patience: Patience = USUAL) -> Iterator[Connection]:
        """A transaction that is kept as a whole when the block ends, or not at all.

        ``patience`` is for PostgreSQL.

        Raises:
            StoreError: the database cannot be written at present.
            ConflictError: the database does not take what was written, and never will.
        """
        with self._transaction(writes=True, patience=patience) as connection:
            yield connection

    def migrate(self) -> None:
        """Make the tables, or bring them up to date. Does nothing when they were found to be so before.

        Raises:
            StoreError: the database cannot be written at present.
            LaterVersionError: it is of a later version than this program.
        """
        asked = time.monotonic()
        with self._lock:
            if self._migrated == (self._present() or True):
                return
            if self._failure is not None and self._failed_at >= asked:  # for whoever came before, meanwhile
                raise self._failure
            try:
                with self._explained(writes=False):  # nothing of a reader's that it could refuse
                    self._migrate()
            except StoreError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            self._migrated = self._present() or True

    def clear_deleted(self) -> bool:
        """Take what was deleted out of the files as well; gives whether it is, as far as that is in our hands.

        SQLite's log beside the file holds what was written since it was taken over into the file, and ends empty where
        nobody reads or writes at the moment. PostgreSQL clears up by itself.
        """
        if not self.is_sqlite:
            return True
        try:
            with self._engine.connect() as connection:
                driver = connection.connection.dbapi_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.execute(f"PRAGMA busy_timeout={CLEAR_SECONDS * 1000}").close()
                try:
                    with closing(driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as cursor:
                        is_busy, *_ = cursor.fetchone()
                finally:
                    driver.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}").close()
        except (SQLAlchemyError, sqlite3.Error):
            return False  # whoever reads or writes next is told what is wrong
        return not is_busy

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        if self.file is not None:
            _make_file(self.file)
        with self._begun(writes=False) as connection:
            if migrating.is_current(connection):
                return
        with self._begun(writes=True, patience=ENDLESS) as connection:
            migrating.upgrade(connection)

    @contextmanager
    def _transaction(
        self, *, writes: bool, one_moment: bool = False, patience: Patience = USUAL
    ) -> Iterator[Connection]:
        why, until = self._hanging.get(writes, (None, 0.0))
        if why is not None and time.monotonic() < until:
            raise StoreError(why.reason, self.name)
        self.migrate()
        begun = self._begun(writes=writes, one_moment=one_moment, patience=patience)
        with self._explained(writes=writes), begun as connection:
            yield connection
        self._hanging = {}  # it answers

    @contextmanager
    def _begun(self, *, writes: bool, one_moment: bool = False, patience: Patience = USUAL) -> Iterator[Connection]:
        with self._engine.connect().execution_options(writes=writes, patience=patience) as connection:
            if one_moment and not self.is_sqlite:  # where every transaction is so
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def _explained(self, *, writes: bool) -> Iterator[None]:
        try:
            yield
        except LaterVersionError as error:
            raise LaterVersionError(error.reason, self.name) from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            if writes and is_refused(error):
                raise ConflictError(refusal(error)) from error
            if not (isinstance(error, PoolTimeoutError) or postgres.gave_up(getattr(error, "orig", None))):
                # It may be another database when it is back, and what was opened before may be good for nothing.
                self._migrated = False
                self._engine.dispose()
            failure = StoreError(explain(error), self.name)
            self._note_hanging(error, failure, writes=writes)
            raise failure from error

    def _note_hanging(self, error: Exception, failure: StoreError, *, writes: bool) -> None:
        """Only what keeps everybody waiting counts: a lock that a writer waits for may be on one row."""
        cause = getattr(error, "orig", None)
        until = time.monotonic() + AGAIN_SECONDS
        if postgres.hangs(cause):
            self._hanging = {False: (failure, until), True: (failure, until)}
        elif not writes and postgres.is_locked_out(cause):
            self._hanging[False] = (failure, until)

    def _present(self) -> _File | None:
        """The SQLite file that is there now. Whoever deletes or replaces it has no further use for the old one."""
        try:
            found = os.stat(self.file) if self.file is not None else None  # noqa: PTH116 - several times as fast
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None

    def _prepare_sqlite(self, connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # Python's sqlite3 would begin transactions by rules of its own
        try:
            _set_journal(connection)
            for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}").close()
        except sqlite3.Error:
            connection.close()
            raise
        entry.info["file"] = self._present()

    def _check_sqlite(self, _: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
        if entry.info["file"] != self._present():
            raise DisconnectionError("The file is another one now.")


@lru_cache(maxsize=1)
def get_database() -> Database:
    """The one database of this process.

    Raises:
        SettingsError: the setting names no database.
    """
    settings = get_settings()
    if settings.database_url is not None:
        return Database(settings.database_url.get_secret_value())
    return Database(f"sqlite:///{settings.data_dir / FILE_NAME}")


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingsError(_not_usable("it is no URL")) from None
    match url.get_backend_name():
        case "postgresql" | "postgres":
            return url.set(drivername="postgresql+psycopg")  # the one driver that is installed
        case "sqlite" if url.database and url.database != ":memory:":
            return url.set(drivername="sqlite")
        case "sqlite":
            raise SettingsError(_not_usable("it names no file"))
    raise SettingsError(_not_usable(f"{url.drivername} is neither sqlite nor postgresql"))


def _not_usable(reason: str) -> str:
    return (
        f"{ENV_PREFIX}DATABASE_URL cannot be used: {reason}. "
        "Write it like postgresql://user:password@host/name or sqlite:////folder/chats.db"
    )


def _make_file(file: Path) -> None:
    """Make a file that only its owner may read, if there is none; those that SQLite puts beside it are like it."""
    if file.exists():
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError as error:
        raise StoreError(f"{file} cannot be made: {error.strerror}. Name another file.") from error


def _set_journal(connection: sqlite3.Connection) -> None:
    """Let readers read while somebody writes.

    SQLite waits for nobody where it changes the kind of journal, which happens once in a file's life.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            with closing(connection.execute("PRAGMA journal_mode=WAL")):
                return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its turn at the start: one that reads first and then writes could be turned away in between."""
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _connect_postgres(_: object, __: object, cargs: tuple[Any, ...], cparams: dict[str, Any]) -> BoundedConnection:
    return BoundedConnection.connect(*cargs, **cparams)


def _return_postgres(connection: Any, _: ConnectionPoolEntry) -> None:
    if connection is not None:  # None: it is broken
        connection.answer_seconds = postgres.PING_SECONDS


def _begin_postgres(connection: Connection) -> None:
    postgres.begin(connection, connection.get_execution_options().get("patience", ENDLESS))
