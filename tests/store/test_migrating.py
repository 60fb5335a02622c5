"""Databases of every earlier version become one of this version, with what is in them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, select
from sqlalchemy.types import JSON, Boolean, LargeBinary, String, TypeEngine

from components.store import migrating
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import LaterVersionError
from components.store.schema import metadata, shares

SCRIPTS = ScriptDirectory.from_config(migrating.alembic_config())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]


def difference(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


def test_there_is_one_way_from_the_first_revision_to_the_last() -> None:
    assert len(SCRIPTS.get_heads()) == len(SCRIPTS.get_bases()) == 1


def test_migrations_make_what_the_schema_says(empty_url: str) -> None:
    database = Database(empty_url)
    with database.reading() as connection:
        assert difference(connection) == []
    database.close()


def test_the_comparison_notices_a_difference(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE shares DROP COLUMN expires")
        connection.exec_driver_sql("DROP INDEX ix_messages_parent")
        assert len(difference(connection)) == 2


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_every_revision_are_there_in_this_version(empty_url: str, revision: str) -> None:
    made = Database(empty_url)
    with made._begun(writes=True) as connection:
        migrating.upgrade(connection, revision)
        rows = fill(connection)
        assert {name for name, row in rows.items() if row} == set(rows)
    made.close()
    database = Database(empty_url)
    with database.writing() as connection:
        assert difference(connection) == []
        for name in metadata.tables.keys() & rows.keys():
            (now,) = connection.execute(select(metadata.tables[name])).mappings()
            kept = now.keys() & rows[name].keys()
            assert {column: now[column] for column in kept} == {column: rows[name][column] for column in kept}
        assert [one.id for one in Conversations(connection, "reader").list(5)] == ["id"]
    database.close()


def test_what_was_shared_before_is_counted(empty_url: str) -> None:
    made = Database(empty_url)
    with made._begun(writes=True) as connection:
        migrating.upgrade(connection, "0004")
        fill(connection)
        tables = MetaData()
        tables.reflect(connection)
        content = [{"role": "user", "text": "床前", "model": "", "end": None}, {"role": "assistant", "text": "😀 moon"}]
        connection.execute(tables.tables["shares"].update().values(content=content, expires=None))
    made.close()
    database = Database(empty_url)
    with database.reading() as connection:
        assert connection.execute(select(shares.c.characters)).scalar_one() == len("床前😀 moon")
    database.close()


def test_a_database_of_this_version_is_told(database: Database) -> None:
    with database.reading() as connection:
        assert migrating.is_current(connection)


def test_a_database_of_a_later_version_is_told(url: str) -> None:
    made = Database(url)
    with made.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    made.close()
    database = Database(url)
    for _ in range(2):
        with pytest.raises(LaterVersionError, match="made by a later version of this application"), database.reading():
            pass
    with made._begun(writes=True) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{REVISIONS[-1]}'")
    made.close()
    with database.reading() as connection:
        assert not Conversations(connection, "reader").list(5)
    database.close()


def test_many_that_start_at_once_make_the_tables_once(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Database.migrate, databases))
    for database in databases:
        with database.reading() as connection:
            assert difference(connection) == []
        database.close()


def test_several_databases_are_made_at_once(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / str(number)}.db") for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(Database.migrate, databases))
    for database in databases:
        with database.reading() as connection:
            assert difference(connection) == []
        database.close()


def test_a_migration_that_fails_halfway_leaves_nothing_behind(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    original = migrating._MIGRATIONS
    for file in (*original.glob("*.*"), *original.glob("versions/*.py")):
        text = file.read_text(encoding="utf-8")
        if file.name.startswith("0001"):
            text += '\n    op.execute("SELECT 1 FROM nothing")\n'
        (folder / file.relative_to(original)).write_text(text, encoding="utf-8")
    database = Database(empty_url)
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "_MIGRATIONS", folder)
        with pytest.raises(Exception, match="nothing"):
            database.migrate()
    with database.reading() as connection:
        assert difference(connection) == []
    database.close()


def fill(connection: Connection) -> dict[str, dict[str, Any]]:
    """One row in every table as this revision has it, whatever its columns are."""
    tables = MetaData()
    tables.reflect(connection)
    rows: dict[str, dict[str, Any]] = {}
    for table in tables.sorted_tables:
        if table.name != "alembic_version":
            names = {
                "id": "id",
                "reader": "reader",
                "conversation": "id",
                "message": 1,
                "sheet": "id",
                "parent": None,
                "deleted": None,
            }
            row = {
                column.name: names[column.name]
                if column.name in names and not (column.name == "id" and column.type.python_type is int)
                else value_of(column.type)
                for column in table.columns
            }
            connection.execute(table.insert().values(row))
            rows[table.name] = row
    return rows


def value_of(kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, JSON):
        return {"a": [1]}
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, LargeBinary):
        return b"\1\2\3\4"
    return "text" if isinstance(kind, String) else kind.python_type(1)
