"""What is wrong with a database, from the error of its library: in words for people, with what to do."""

import sqlite3

from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, SQLAlchemyError, StatementError, TimeoutError

from components.store.errors import StoreError

_RIGHTS = (
    "whoever runs this must be allowed to write the file, those beside it that begin with its name (-wal, -shm), and "
    "their folder."
)

_SQLITE = {
    "SQLITE_BUSY": "another program has kept it locked for too long. End that program, or wait for it.",
    "SQLITE_CANTOPEN": f"the file cannot be opened. It must not be a folder, and {_RIGHTS}",
    "SQLITE_CORRUPT": "the file is damaged. Move it away and restore a back-up: python data.py restore FILE",
    "SQLITE_FULL": "there is no room left on the disk. Make room.",
    "SQLITE_IOERR": "the file cannot be read or written. The disk may be full, damaged or gone.",
    "SQLITE_NOTADB": "the file is no SQLite database. Move it away, then a new one is made; or name another file.",
    "SQLITE_PERM": _RIGHTS,
    "SQLITE_READONLY": f"it can be read but not written: {_RIGHTS}",
}
"""By the beginning of SQLite's name for the error."""

_STATES = {
    "25006": "it can be read but not written: it may be a standby. Name the primary server.",
    "40": "several writers were in each other's way. Try again.",
    "42501": "its user may not do this. GRANT the user all rights on the database and on its schema public.",
    "53100": "there is no room left on the server's disk. Make room.",
    "53300": "the server has too many connections. Raise max_connections, or end other clients.",
    "55P03": "another program has kept it locked for too long. End that program's transaction, or wait for it.",
    "57014": "it took too long. The server has too much to do, or its disk is slow.",
    "57": "the server was stopped, or is starting. Try again when it runs.",
    "58": "the server cannot read or write its files. Its log says more.",
}
"""By the beginning of PostgreSQL's SQLSTATE."""

_REFUSED_STATES = ("21", "22", "23", "42", "54")
"""By the beginning of PostgreSQL's SQLSTATE: it would refuse the same again, whenever it is tried."""

_MENDABLE_STATES = ("42501", "42P01", "42703")
"""Of these what somebody can mend: rights that are missing, tables and columns that are gone."""

_REFUSED_NAMES = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG")
"""The same by the beginning of SQLite's name for the error."""

_WORDS = {
    "has not answered": "it hangs: it is stopped, has too much to do, or waits for its disk. It is tried again.",
    "too many clients": "the server has too many connections. Raise max_connections, or end other clients.",
    "remaining connection slots": "the server has too many connections. Raise max_connections, or end other clients.",
    "password": "the server refuses the user or the password. Mend them in the URL.",
    "authentication failed": "the server refuses the user or the password. Mend them in the URL.",
    "pg_hba.conf": "the server takes nobody from here under this name. Add a line to its pg_hba.conf.",
    'role "': "the server has no such user. Create it with: createuser",
    'database "': "the server has no such database. Create it with: createdb",
    "starting up": "the server is starting. Try again when it runs.",
    "shutting down": "the server is stopping. Try again when it runs.",
    "resolve": "there is no host of this name. Mend the URL.",
    "translate host": "there is no host of this name. Mend the URL.",
    "refused": "no server answers there. Start it, or mend host and port in the URL.",
    "no such file": "no server answers there. Start it, or mend the folder of its socket in the URL.",
    "timeout": "no server answers there in time. Start it, or mend host and port in the URL.",
    "connection option": "the URL has an option that PostgreSQL does not know. Mend the URL.",
    "closed": "the connection was lost. Try again when the server runs.",
    "lost": "the connection was lost. Try again when the server runs.",
    "terminat": "the server ended the connection. Try again when it runs.",
}
"""By what PostgreSQL's library says where there is no SQLSTATE: while connecting, and when a connection breaks."""

_EXISTS = "it has tables of another application. Name a database that is for this application alone."


def explain(error: Exception) -> str:
    """What is wrong, what to do, and the library's own words, in one line."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = " ".join(str(cause).split()) or type(cause).__name__
    advice = _advice(cause, said)
    return f"{advice} ({said})" if advice else said


def is_refused(error: Exception) -> bool:
    """Whether it lies in what was to be written, so that trying again does not help."""
    if not isinstance(error, SQLAlchemyError | sqlite3.Error):
        return not isinstance(error, StoreError)
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        return name.startswith(_REFUSED_NAMES) or "binding parameter" in str(cause)
    if not isinstance(error, DBAPIError):
        return isinstance(error, StatementError)  # a value that cannot be written as what its column holds
    if state := getattr(cause, "sqlstate", None):
        return state.startswith(_REFUSED_STATES) and state not in _MENDABLE_STATES
    return isinstance(error, DataError | ProgrammingError) and not error.connection_invalidated


def refusal(error: Exception) -> str:
    """What was refused, in one line. The lines behind that quote what readers wrote."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def _advice(cause: BaseException, said: str) -> str:
    if isinstance(cause, TimeoutError):  # SQLAlchemy's, of its pool
        return "all connections to it have been in use for too long. Try again."
    if "already exists" in said:
        return _EXISTS
    if isinstance(cause, sqlite3.Error):
        return _by_beginning(_SQLITE, getattr(cause, "sqlite_errorname", None) or "")
    if state := getattr(cause, "sqlstate", None):
        return _by_beginning(_STATES, state)
    lower = said.lower()
    return next((advice for words, advice in _WORDS.items() if words in lower), "")


def _by_beginning(advices: dict[str, str], code: str) -> str:
    return next((advice for beginning, advice in advices.items() if code.startswith(beginning)), "")
