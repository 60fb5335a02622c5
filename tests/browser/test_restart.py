"""What is left of a conversation when its server is killed, or ended, in the middle of a reply."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from tests.access.conftest import OWNER_CODE
from tests.browser.chat_page import ChatPage, get
from tests.browser.conftest import NewBrowser
from tests.server import free_port, running_server


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[str]:
    environment = {"BAICHUAN_OWNER_CODE": OWNER_CODE}
    script = "tests/browser/scripted_app.py"
    with running_server(folder / "server.log", environment, script, "/_stcore/health", port=port) as url:
        yield url


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_a_reply_that_was_cut_is_shown_as_cut_and_goes_on(new_browser: NewBrowser, tmp_path: Path, end: str) -> None:
    port = free_port()
    with server(tmp_path, port) as url:
        chat = ChatPage(new_browser().new_page(), url)
        chat.open()
        chat.type("slow crash")
        expect(chat.reply).to_contain_text("word60 ")
        address = chat.page.url.removeprefix(url)
        if end == "killed":
            with contextlib.suppress(Error):
                get(chat.page.context, f"{url}/test/die")
        chat.page.goto("about:blank")
    with server(tmp_path, port) as url:
        chat.open(address)
        expect(chat.bubbles.first).to_contain_text("slow crash")
        expect(chat.reply).to_contain_text("word30 ")  # written at 20 words a second, kept every second
        expect(chat.reply).to_contain_text("the server was stopped")
        chat.resume.click()
        expect(chat.stop).to_be_visible()
        expect(chat.reply).to_contain_text("word0 word1 ")
        chat.stop.click()
        expect(chat.regenerate).to_be_visible()
