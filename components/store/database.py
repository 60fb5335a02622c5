"""The connection to the database: where it is, how it is opened, and what its errors mean."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from components.settings import ENV_PREFIX, SettingsError, get_settings
from components.store.errors import ConflictError, StoreError

FILE_NAME = "chats.db"
"""Of the SQLite database in the data folder."""

CONNECT_SECONDS = 5
BUSY_SECONDS = 10
"""How long a connection to PostgreSQL may take, and how long a writer waits for another one."""

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 20_231_206
"""Any number: processes that start at once over one PostgreSQL take turns by it."""


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
        self._engine = create_engine(self._url, pool_pre_ping=not self.is_sqlite, **self._options())
        self._migrated = False
        self._lock = threading.Lock()
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @property
    def name(self) -> str:
        """The database for people to read, without the password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            StoreError: the database cannot be read at present.
        """
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept as a whole when the block ends, or not at all.

        Raises:
            StoreError: the database cannot be written at present.
            ConflictError: what was written contradicts what is there.
        """
        with self._transaction(writes=True) as connection:
            yield connection

    def migrate(self) -> None:
        """Make the tables, or bring them up to date. Does nothing after the first time.

        Raises:
            StoreError: the database cannot be written at present, or is of a later version than this program.
        """
        with self._lock:
            if self._migrated:
                return
            with self._explained():
                if self.is_sqlite and self._url.database:
                    Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
                with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                    if not self.is_sqlite:
                        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                    _upgrade(connection)
            self._migrated = True

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _options(self) -> dict[str, object]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": BUSY_SECONDS}}
        return {"connect_args": {"connect_timeout": CONNECT_SECONDS}}

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        self.migrate()
        with (
            self._explained(),
            self._engine.connect().execution_options(writes=writes) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise ConflictError(str(error.orig)) from error
        except (SQLAlchemyError, OSError) as error:
            reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            first_line = reason.strip().splitlines()[0] if reason.strip() else type(error).__name__
            raise StoreError(f"The database {self.name} cannot be used: {first_line}") from error


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


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError(_not_usable("it is no URL")) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")  # SQLAlchemy's own choice would be psycopg2
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise SettingsError(_not_usable(f"{url.drivername} is neither sqlite nor postgresql"))
    try:
        url.get_dialect()
    except (NoSuchModuleError, ImportError) as error:
        raise SettingsError(_not_usable(str(error))) from None
    return url


def _not_usable(reason: str) -> str:
    return (
        f"{ENV_PREFIX}DATABASE_URL cannot be used: {reason}. "
        "Write it like postgresql://user:password@host/name or sqlite:////folder/chats.db"
    )


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # Python's sqlite3 would begin transactions by rules of its own
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its turn at the start: one that reads first and then writes could be turned away in between."""
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
