"""How a database of an earlier version, or an empty one, gets the tables of this version."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from components.store.errors import LaterVersionError

_MIGRATIONS = Path(__file__).with_name("migrations")

_LOCK_NUMBER = 20_231_206
"""Any number: processes that start at once over one PostgreSQL take turns by it."""

_alembic_lock = threading.Lock()
"""Alembic hands the connection to ``env.py`` in a global variable."""


def is_current(connection: Connection) -> bool:
    """Whether the database has the tables of this version.

    Raises:
        LaterVersionError: it has those of a later one.
    """
    scripts = ScriptDirectory.from_config(alembic_config())
    known = {script.revision for script in scripts.walk_revisions()}
    revisions = set(MigrationContext.configure(connection).get_current_heads())
    if not revisions <= known:
        raise LaterVersionError(
            "it was made by a later version of this application. Run that version, or restore a back-up of this one's."
        )
    return revisions == set(scripts.get_heads())


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Make the tables, or bring them up to date."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
    if is_current(connection):  # another process was faster
        return
    config = alembic_config()
    config.attributes["connection"] = connection
    with _alembic_lock:
        command.upgrade(config, revision)


def alembic_config() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config
