"""Coming in with a code, in a real browser."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.access.conftest import LOCKED, MODEL, OWNER_CODE, VISITOR_CODE
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.server import running_server

OpenBrowser = Callable[..., ChatPage]


@pytest.fixture(scope="module")
def locked_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log: Path = tmp_path_factory.mktemp("locked-page") / "server.log"
    with running_server(log, LOCKED, "tests/browser/scripted_app.py", "/health") as url:
        yield url


@pytest.fixture
def open_browser(new_browser: NewBrowser, locked_page: str) -> OpenBrowser:
    """A browser that was never here before."""

    def open_one(path: str = "/", **options: Any) -> ChatPage:
        chat = ChatPage(new_browser(**options).new_page(), locked_page)
        chat.page.goto(locked_page + path)
        return chat

    return open_one


def enter(page: Page, code: str) -> None:
    page.get_by_label("Access code").fill(code)
    page.get_by_role("button", name="Enter").click()


def test_the_code_opens_the_page_that_was_asked_for(open_browser: OpenBrowser) -> None:
    chat = open_browser("/?temperature=1.2&lang=en")
    enter(chat.page, VISITOR_CODE)
    chat.ask("settings")
    expect(chat.reply).to_contain_text('"temperature":1.2')
    chat.page.reload()
    expect(chat.input).to_be_visible()


def test_a_wrong_code_says_so_and_the_right_one_still_works(open_browser: OpenBrowser) -> None:
    chat = open_browser()
    enter(chat.page, "somebody-elses-code")
    expect(chat.page.get_by_role("alert")).to_contain_text("not valid")
    chat.shoot("login-wrong")
    enter(chat.page, VISITOR_CODE)
    expect(chat.input).to_be_visible()


def test_a_link_with_the_code_leads_straight_in_and_leaves_no_code_behind(open_browser: OpenBrowser) -> None:
    chat = open_browser(f"/?lang=zh&code={VISITOR_CODE}&temperature=1.2")
    expect(chat.input).to_be_visible()
    expect(chat.page).to_have_url(re.compile(r"/\?lang=zh&temperature=1\.2$"))
    chat.page.go_back()
    assert "code" not in chat.page.url


def test_a_link_with_a_wrong_code_asks_for_the_right_one(open_browser: OpenBrowser) -> None:
    chat = open_browser("/?code=an-older-code&temperature=1.2")
    expect(chat.page.get_by_role("alert")).to_contain_text("not valid")
    enter(chat.page, VISITOR_CODE)
    expect(chat.input).to_be_visible()
    expect(chat.page).to_have_url(re.compile(r"/\?temperature=1\.2$"))


def test_who_signs_out_needs_the_code_again(open_browser: OpenBrowser) -> None:
    chat = open_browser(f"/?code={OWNER_CODE}")
    chat.page.get_by_role("link", name="Sign out").click()
    chat.shoot("logout")
    chat.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(chat.page.get_by_label("Access code")).to_be_visible()
    chat.page.reload()
    expect(chat.page.get_by_label("Access code")).to_be_visible()


def test_the_page_and_the_apis_know_the_reader_by_one_name(open_browser: OpenBrowser) -> None:
    one, other = open_browser(f"/?code={VISITOR_CODE}"), open_browser(f"/?code={OWNER_CODE}")
    for chat, level in ((one, "visitor"), (other, "owner")):
        caller = chat.call("/test/caller")
        assert caller["level"] == level
        chat.ask("hello")
        assert chat.call("/test/visitors")[-1] == caller["account"]
        assert chat.call("/test/addresses")[-1] == caller["address"] == ("127.0.0.1" if level == "visitor" else "")
    assert one.call("/test/caller")["name"] != other.call("/test/caller")["name"]


def test_it_works_without_javascript(open_browser: OpenBrowser) -> None:
    chat = open_browser(java_script_enabled=False)
    enter(chat.page, VISITOR_CODE)
    expect(chat.page).to_have_title("Streamlit")


def test_code_and_formulas_work_within_the_security_policy(open_browser: OpenBrowser) -> None:
    chat = open_browser()
    complaints: list[str] = []
    chat.page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    chat.page.on("pageerror", lambda error: complaints.append(error.message))
    enter(chat.page, VISITOR_CODE)
    chat.ask("rich")
    expect(chat.reply.locator(".katex-display")).to_have_count(1)
    expect(chat.reply.locator("pre code span[class*=token]").first).to_be_visible()
    assert not complaints


def test_a_download_works_for_its_reader_alone(new_browser: NewBrowser, tmp_path: Path) -> None:
    with running_server(tmp_path / "server.log", {**LOCKED, **MODEL}, wait_for="/health") as url:
        chat = ChatPage(new_browser().new_page(), url)
        chat.open(f"/?code={VISITOR_CODE}&max_new_tokens=16")
        chat.ask("你是谁")
        chat.reply.get_by_role("button", name="More about this reply").press("Enter")
        chat.page.get_by_text("Receipt", exact=True).click()
        with chat.page.expect_download() as download:
            chat.page.get_by_role("button", name="Save", exact=True).click()
        assert download.value.path().stat().st_size
        assert requests.get(download.value.url, timeout=30).status_code == 401


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("desktop-en-light", {}),
        ("desktop-zh-dark", {"locale": "zh-CN", "color_scheme": "dark"}),
        ("phone-zh-light", {"locale": "zh-CN", "viewport": {"width": 390, "height": 844}, "is_mobile": True}),
        ("phone-en-dark", {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "is_mobile": True}),
    ],
)
def test_looks_of_the_login_page(open_browser: OpenBrowser, name: str, options: dict[str, Any]) -> None:
    """Takes the pictures that a person looks at; the language is the browser's."""
    chat = open_browser(**options)
    expect(chat.page.get_by_role("button", name="进入" if "zh" in name else "Enter")).to_be_visible()
    chat.shoot(f"login-{name}")
    assert chat.page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
