"""A reader whose connection is lost in the middle of a reply, for a moment or for longer."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from bench.proxy import CountingProxy
from tests.browser.chat_page import ChatPage, get
from tests.browser.conftest import NewBrowser
from tests.server import free_port


class Line:
    """The network between a browser and a server. A browser's own offline mode leaves WebSockets as they are."""

    def __init__(self, server: str) -> None:
        self._server = int(server.rpartition(":")[2])
        self._port = free_port()
        self._proxy = CountingProxy(self._server, self._port)

    @property
    def address(self) -> str:
        return self._proxy.address

    def cut(self) -> None:
        self._proxy.close()

    def restore(self) -> None:
        self._proxy = CountingProxy(self._server, self._port)


@pytest.fixture
def line(scripted_server: str) -> Iterator[Line]:
    line = Line(scripted_server)
    yield line
    line.cut()


@pytest.fixture
def chat(new_browser: NewBrowser, line: Line) -> ChatPage:
    """A page at the other end of the line."""
    chat = ChatPage(new_browser().new_page(), line.address)
    chat.open()
    return chat


@pytest.mark.parametrize("ends", ["while the reader is away", "once the reader is back"])
@pytest.mark.parametrize("session", ["kept", "forgotten"])
def test_who_was_offline_sees_the_whole_reply_without_a_reload(
    scripted_server: str, line: Line, chat: ChatPage, session: str, ends: str
) -> None:
    def now(what: str) -> int:
        return int(get(chat.page.context, f"{scripted_server}/test/now").json()[what])

    chat.type("halves")
    expect(chat.reply).to_contain_text("First half.")
    chat.page.evaluate("window.wasNotReloaded = true")
    line.cut()
    chat.wait_until(lambda: now("pages") == 0, "the server does not notice that the page is gone")
    if session == "forgotten":
        get(chat.page.context, f"{scripted_server}/test/forget")
    if ends == "while the reader is away":
        get(chat.page.context, f"{scripted_server}/test/go_on")
        chat.wait_until(lambda: now("replies") == 0, "the reply does not end")
    expect(chat.reply).not_to_contain_text("Second half.")
    line.restore()
    if ends == "once the reader is back":
        chat.wait_until(lambda: now("pages") == 1, "the page does not connect again")
        get(chat.page.context, f"{scripted_server}/test/go_on")

    expect(chat.reply).to_contain_text("First half. Second half.")
    chat.wait_for_end()
    expect(chat.bubbles).to_have_count(2)
    expect(chat.page.get_by_text("First half.")).to_have_count(1)
    assert chat.page.evaluate("window.wasNotReloaded")
    chat.ask("messages")
    messages = ["user: halves", "assistant: First half. Second half.", "user: messages"]
    expect(chat.reply.get_by_role("listitem")).to_have_text(messages)
