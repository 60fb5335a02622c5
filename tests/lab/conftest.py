from collections.abc import Iterator
from pathlib import Path

import pytest

from components.lab.jobs import Jobs
from components.store.database import Database
from tests.scripted_engine import ScriptedEngine


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(Database(f"sqlite:///{tmp_path / 'chats.db'}"))
    yield jobs
    jobs.close()
    jobs.database.close()
