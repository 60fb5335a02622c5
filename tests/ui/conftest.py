"""The page in memory, over a scripted engine."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components.chats.replies import Replies
from components.engine.host import EngineHost, Ready, State
from components.store.database import Database
from tests.scripted_engine import ScriptedEngine


class StillHost(EngineHost):
    """A host that is in one state and loads nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.recorder = None
        self._settled = threading.Event()
        self.starts = 0

    def start(self) -> None:
        self.starts += 1


OpenPage = Callable[[EngineHost], AppTest]


@pytest.fixture(autouse=True)
def main_program() -> Iterator[None]:
    """Put back afterwards: AppTest puts a page in its place, which processes that later tests spawn would run, too."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def replies(tmp_path: Path) -> Iterator[Replies]:
    """What the server keeps, in a database of the test's own."""
    database = Database(f"sqlite:///{tmp_path / 'chats.db'}")
    replies = Replies(database)
    yield replies
    replies.keeper.close()
    database.close()


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, replies: Replies) -> OpenPage:
    monkeypatch.setattr("components.ui.chat.opening.get_replies", lambda: replies)

    def open_one(host: EngineHost) -> AppTest:
        for module in ("chat.page", "operations.page"):
            monkeypatch.setattr(f"components.ui.{module}.engine_host", lambda: host)
        page = AppTest.from_file("../../components/ui/page.py", default_timeout=60)
        page.context = {"locale": "en-US"}
        return page

    return open_one


@pytest.fixture
def page(open_page: OpenPage, engine: ScriptedEngine) -> AppTest:
    """The page with a model that is ready, run once."""
    return open_page(StillHost(Ready(engine, 1.0))).run()


@pytest.fixture
def open_another(open_page: OpenPage, engine: ScriptedEngine) -> Callable[[], AppTest]:
    """Opens the page of another reader, who has no cookie either."""
    return lambda: open_page(StillHost(Ready(engine, 1.0)))
