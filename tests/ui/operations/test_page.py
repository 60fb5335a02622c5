"""Who sees the operations page."""

import pytest
from streamlit.testing.v1 import AppTest

from components.access.identity import Identity
from components.engine.host import Ready
from components.ui.texts import EN
from tests.scripted_engine import ScriptedEngine
from tests.ui.conftest import StillHost


def show() -> None:
    from components.ui.operations.page import show_operations

    show_operations()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine) -> AppTest:
    host = StillHost(Ready(engine, 1.0))
    monkeypatch.setattr("components.ui.operations.page.engine_host", lambda: host)
    page = AppTest.from_function(show, default_timeout=10)
    page.context = {"locale": "en-US"}
    return page


def test_a_visitor_is_told_whom_the_page_is_for(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.ui.operations.page.current_reader", lambda: Identity("visitor", "anna"))
    page.run()

    assert [warning.value for warning in page.warning] == [EN.operations.not_owner]
    assert not page.info
    assert not page.metric


def test_the_owner_sees_that_figures_are_coming(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.ui.operations.page.current_reader", lambda: Identity("owner", "bo"))
    page.run()

    assert [info.value for info in page.info] == [EN.operations.nothing_yet]
