"""PostgreSQL: how it is connected to, and how long anybody waits for it."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.errors import ConnectionTimeout, _WaitTimeout
from sqlalchemy import Connection

CONNECT_SECONDS = 3
"""How long a connection may take to be made."""

PING_SECONDS = 1.0
"""How long an idle connection may take to answer before it counts as lost, and another one is made."""

PARAMETERS = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "baichuan-chat",
    # A server that has vanished without a word is noticed in seconds, not in the operating system's quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

_LOCKED = "55P03"
_TOO_LONG = "57014"
"""SQLSTATE of what waited for a lock for too long."""


@dataclass(frozen=True)
class Patience:
    """How long a transaction waits, in seconds; None: for ever.

    Attributes:
        lock: for what another transaction has locked.
        statement: for one statement to be done.
        answer: for a server that says nothing at all; longer than ``statement``, which it would say something about.
    """

    lock: float | None
    statement: float | None
    answer: float | None


USUAL = Patience(lock=2, statement=10, answer=12)
"""Somebody looks at a page that is not drawn before that."""

PATIENT = Patience(lock=10, statement=120, answer=130)
"""Somebody asked for what may take a while."""

ENDLESS = Patience(lock=None, statement=None, answer=None)
"""It takes as long as it takes: migrations, and moving everything."""


class HangingError(psycopg.OperationalError):
    """The server has said nothing for too long."""


class BoundedConnection(psycopg.Connection[Any]):
    """One that waits for no answer longer than it was told to.

    The server's own limits do not help where it is stopped or hangs, and the network's do not either while its machine
    still takes what it is sent.

    Attributes:
        answer_seconds: how long; None: for ever.
    """

    answer_seconds: float | None = PING_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Every statement, commit and rollback waits here."""
        seconds = self.answer_seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, seconds)
        except _WaitTimeout:
            self.pgconn.finish()  # what comes later would be taken for the answer to something else
            raise HangingError(f"the server has not answered for {seconds:g} s") from None

    def __del__(self, *_: object) -> None:
        """A pool that was given up leaves to the garbage collector what was in use then."""
        self.close()


def begin(connection: Connection, patience: Patience) -> None:
    """Have a transaction that has just begun wait no longer than that.

    Not by the connection's ``options``, which poolers such as PgBouncer refuse.
    """
    told(connection).answer_seconds = patience.answer
    limits = {"lock_timeout": patience.lock, "statement_timeout": patience.statement}
    settings = (f"set_config('{name}', '{int((limit or 0) * 1000)}', true)" for name, limit in limits.items())
    connection.exec_driver_sql(f"SELECT {', '.join(settings)}")


def told(connection: Connection) -> BoundedConnection:
    """The driver's connection, which can be told how long to wait."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, BoundedConnection)
    return driver


def hangs(error: BaseException | None) -> bool:
    """Whether the server itself gave no answer in time, so that it gives nobody one."""
    return isinstance(error, HangingError | ConnectionTimeout)


def gave_up(error: BaseException | None) -> bool:
    """Whether a statement took too long, on a connection that is as good as before."""
    return isinstance(error, psycopg.Error) and error.sqlstate in (_LOCKED, _TOO_LONG)


def is_locked_out(error: BaseException | None) -> bool:
    """Whether another transaction kept something locked for too long."""
    return isinstance(error, psycopg.Error) and error.sqlstate == _LOCKED
