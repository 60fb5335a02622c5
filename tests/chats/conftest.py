from collections.abc import Iterator
from pathlib import Path

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.replies import Replies
from components.store.database import Database
from tests.chats.helpers import Start
from tests.scripted_engine import ScriptedEngine
from tests.store.conftest import backend, postgres_template, sqlite_template, url

__all__ = ["backend", "postgres_template", "sqlite_template", "url"]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'chats.db'}")
    yield database
    database.close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the transactions of an import, for others who do not exist here."""
    monkeypatch.setattr("components.chats.drafts.PAUSE_SECONDS", 0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server over the test's database: a second one is the server after a restart."""
    started: list[Replies] = []

    def start_one() -> Replies:
        started.append(Replies(Database(f"sqlite:///{tmp_path / 'chats.db'}")))
        return started[-1]

    yield start_one
    for replies in started:
        replies.keeper.close()
        replies.database.close()


@pytest.fixture
def replies(start: Start) -> Replies:
    return start()


@pytest.fixture
def chat(replies: Replies) -> Chat:
    return Chat.new(Asker("browser:one"), replies)
