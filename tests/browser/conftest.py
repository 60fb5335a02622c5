"""A real server and a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.access.conftest import OWNER_CODE
from tests.browser.browsers import Browsers, launch_chromium
from tests.browser.chat_page import PATIENCE_MS, ChatPage, get
from tests.server import running_server

PageFactory = Callable[..., ChatPage]
NewBrowser = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browsers(browser: Browser) -> Browsers:
    return Browsers(browser)


@pytest.fixture
def new_browser(browsers: Browsers) -> Iterator[NewBrowser]:
    """A browser that was never here before, with options of its own."""
    taken: list[BrowserContext] = []

    def take(**options: Any) -> BrowserContext:
        taken.append(context := browsers.take(**options))
        return context

    yield take
    for context in taken:
        browsers.give_back(context)


@pytest.fixture(scope="session")
def scripted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log: Path = tmp_path_factory.mktemp("scripted") / "server.log"
    with running_server(
        log, {"BAICHUAN_OWNER_CODE": OWNER_CODE}, "tests/browser/scripted_app.py", "/_stcore/health"
    ) as url:
        yield url


@pytest.fixture
def open_page(new_browser: NewBrowser, scripted_server: str) -> Iterator[PageFactory]:
    """Opens the page over the scripted engine in a tab of its own; options make it another browser."""
    usual = new_browser()

    def open_one(query: str = "/", **options: Any) -> ChatPage:
        context = new_browser(**options) if options else usual
        chat = ChatPage(context.new_page(), scripted_server)
        chat.page.goto(scripted_server + query)
        return chat

    yield open_one
    get(usual, f"{scripted_server}/test/state?is=ready")
    get(usual, f"{scripted_server}/test/info")
    get(usual, f"{scripted_server}/test/end")


@pytest.fixture
def chat(open_page: PageFactory) -> ChatPage:
    """One reader's page over the scripted engine."""
    page = open_page()
    page.input.wait_for()
    return page
