"""A real server and a real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.access.conftest import OWNER_CODE
from tests.browser.chat_page import PATIENCE_MS, ChatPage, get
from tests.server import running_server

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

USUAL_OPTIONS: dict[str, Any] = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}}

PageFactory = Callable[..., ChatPage]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    assert path, "The browser tests need Chromium: bash scripts/install-test-tools"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def scripted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log: Path = tmp_path_factory.mktemp("scripted") / "server.log"
    with running_server(
        log, {"BAICHUAN_OWNER_CODE": OWNER_CODE}, "tests/browser/scripted_app.py", "/_stcore/health"
    ) as url:
        yield url


@pytest.fixture(scope="session")
def usual_context(browser: Browser) -> Iterator[BrowserContext]:
    """An English desktop browser; its cache saves every test from loading Streamlit's scripts anew."""
    context = browser.new_context(**USUAL_OPTIONS)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def open_page(browser: Browser, usual_context: BrowserContext, scripted_server: str) -> Iterator[PageFactory]:
    """Opens the page over the scripted engine in a tab of its own; options make it another browser."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []

    def open_one(query: str = "/", **options: Any) -> ChatPage:
        context = usual_context
        if options:
            context = browser.new_context(**{**USUAL_OPTIONS, **options})
            contexts.append(context)
        pages.append(page := context.new_page())
        chat = ChatPage(page, scripted_server)
        page.goto(scripted_server + query)
        return chat

    yield open_one
    get(usual_context, f"{scripted_server}/test/state?is=ready")
    get(usual_context, f"{scripted_server}/test/info")
    get(usual_context, f"{scripted_server}/test/end")
    for closable in (*pages, *contexts):
        closable.close()


@pytest.fixture
def chat(open_page: PageFactory) -> ChatPage:
    """One reader's page over the scripted engine."""
    page = open_page()
    page.input.wait_for()
    return page
