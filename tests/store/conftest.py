from collections.abc import Iterator
from pathlib import Path

import pytest

from components.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'chats.db'}")
    yield database
    database.close()
