"""Each test of the store runs over both databases: SQLite, and a real PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.store.database import Database
from tests.postgres import Cluster


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables, to be copied."""
    file = tmp_path_factory.mktemp("template") / "chats.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres: Cluster) -> Iterator[str]:
    """The name of such a database in PostgreSQL."""
    with postgres.database() as url:
        _migrate(url)
        yield url.split("@/")[1].split("?")[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database with all tables and no rows."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "chats.db")
        yield f"sqlite:///{tmp_path / 'chats.db'}"
    else:
        template = request.getfixturevalue("postgres_template")
        with request.getfixturevalue("postgres").database(template) as url:
            yield url


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database without tables, or of one that is not there yet."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def _migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()
