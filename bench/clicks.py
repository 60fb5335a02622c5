"""What a click costs the reader of a short conversation and of a long one: how long it takes, and what is sent."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import select

from bench.conversations import add_messages
from bench.proxy import CountingProxy, counting_proxy
from bench.websocket import APPLICATION_PAGE, SCRIPTS
from components.chats.view import WINDOW
from components.store.conversations import Conversations
from components.store.database import FILE_NAME, Database
from components.store.rows import Conversation, new_conversation_id
from components.store.schema import conversations
from tests.browser.browsers import launch_chromium
from tests.server import running_server

OPEN, MOVE, MOVE_LENGTH, STOP = (
    "opening it from the list",
    "moving a slider",
    "moving the slider of the longest reply",
    "stopping a reply",
)

QUIET_MILLISECONDS = 1000
"""A click is over when nothing has come, and nothing on the page has changed, for so long."""

PATIENCE_MILLISECONDS = 120_000

OTHERS = 10
"""Short conversations that the list has as well."""

_WATCH = f"""
(() => {{
  const seen = window.seen = {{begun: null, answered: null, shown: null}};
  const begin = () => {{ if (seen.begun === null) seen.begun = performance.now(); }};
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, begin, true);
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {{
    constructor(...all) {{
      super(...all);
      this.addEventListener("message", () => {{ seen.answered = performance.now(); }});
    }}
  }};
  new MutationObserver(() => {{ seen.shown = performance.now(); }}).observe(
    document, {{subtree: true, childList: true, characterData: true}});
  window.watch = () => {{ seen.begun = seen.answered = seen.shown = null; }};
  window.isOver = () => seen.begun !== null
    && performance.now() - Math.max(seen.begun, seen.answered, seen.shown) > {QUIET_MILLISECONDS};
}})();
"""
"""In the browser, whose own clock says when the reader did something, and when the last answer to it came."""


@dataclass(frozen=True)
class Click:
    """One thing that a reader did in a conversation of so many ``messages``.

    ``seconds`` run until the last frame has come and the page has changed for the last time; ``sent`` and ``received``
    are the browser's bytes on the wire of the WebSocket.
    """

    what: str
    messages: int
    seconds: float
    sent: int
    received: int


class ClickSummary(NamedTuple):
    """Medians; bytes are of both directions."""

    times: int
    seconds: float
    bytes: float


def summarize(clicks: Sequence[Click]) -> ClickSummary:
    """Of one ``what`` in conversations of the same length."""
    return ClickSummary(
        len(clicks),
        median(click.seconds for click in clicks),
        median(click.sent + click.received for click in clicks),
    )


class Clicker:
    """A browser with the page open, its clicks timed and its traffic counted."""

    def __init__(self, page: Page, proxy: CountingProxy) -> None:
        self.page = page
        self._proxy = proxy

    def do(self, what: str, messages: int, act: Callable[[], object]) -> Click:
        """Do something once nothing happens any more, and wait for all that comes of it."""
        self.page.wait_for_timeout(QUIET_MILLISECONDS)
        before = self._proxy.websockets
        self.page.evaluate("window.watch()")
        act()
        # Not wait_for_function: the page's content security policy lets nobody evaluate strings in a loop of its own.
        deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
        while not self.page.evaluate("window.isOver()") and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        seen: dict[str, float | None] = self.page.evaluate("window.seen")
        last = max(filter(None, seen.values()))
        after = self._proxy.websockets
        return Click(
            what,
            messages,
            (last - (seen["begun"] or last)) / 1000,
            after.received - before.received,
            after.sent - before.sent,
        )


def measure_clicks(folder: Path, lengths: Sequence[int], times: int) -> Iterator[Click]:
    """Everything ``times`` in a conversation of each length; ``folder`` is for the server's state."""
    with ExitStack() as stack:
        log = folder / "clicks.log"
        address = stack.enter_context(
            running_server(log, {}, SCRIPTS[APPLICATION_PAGE], "/_stcore/health", preloaded=False)
        )
        proxy = stack.enter_context(counting_proxy(urlsplit(address).port or 0))
        playwright = stack.enter_context(sync_playwright())
        browser = launch_chromium(playwright)
        stack.callback(browser.close)
        page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 800})
        page.add_init_script(_WATCH)
        clicker = Clicker(page, proxy)
        page.goto(proxy.address)
        _ask(page, "prose 10")
        expect(page.get_by_role("button", name="Regenerate")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        with closing(Database(f"sqlite:///{folder / FILE_NAME}")) as database:
            fill(database, lengths)
        page.reload()
        page.get_by_test_id("stChatInputTextArea").wait_for()
        for length in lengths:
            yield from clicks_of(clicker, length, times)


def clicks_of(clicker: Clicker, length: int, times: int) -> Iterator[Click]:
    """What a reader does with the conversation of so many messages."""
    page = clicker.page
    page.get_by_role("tab", name="Conversations").click()
    for _ in range(times):
        page.get_by_role("button", name="New chat").click()
        expect(page.get_by_test_id("stChatMessage")).to_have_count(0, timeout=PATIENCE_MILLISECONDS)
        yield clicker.do(OPEN, length, page.get_by_role("button", name=title_of(length), exact=True).click)
        expect(page.get_by_test_id("stChatMessage")).to_have_count(min(length, WINDOW))
    page.get_by_role("tab", name="Settings").click()
    for what, label in ((MOVE, "Temperature"), (MOVE_LENGTH, "Longest reply")):
        for number in range(times):
            thumb = page.get_by_test_id("stSlider").filter(has_text=label).get_by_role("slider")
            thumb.focus()
            yield clicker.do(what, length, partial(thumb.press, ("ArrowLeft", "ArrowRight")[number % 2]))
    for _ in range(times):
        _ask(page, "prose 2000")
        stop = page.get_by_role("button", name="Stop", exact=True)
        expect(page.get_by_test_id("stChatMessage").last).to_contain_text("Apache", timeout=PATIENCE_MILLISECONDS)
        yield clicker.do(STOP, length, stop.click)
        expect(stop).to_have_count(0)


def title_of(length: int) -> str:
    """Of the conversation with so many messages."""
    return f"Conversation of {length}"


def fill(database: Database, lengths: Sequence[int]) -> None:
    """Give the only reader that there is conversations of these lengths, and a few short ones."""
    chance = random.Random(0)
    with database.writing() as connection:
        reader = connection.execute(select(conversations.c.reader)).scalars().one()
        for title, length in (
            *((f"Another {number}", 2) for number in range(OTHERS)),
            *((title_of(length), length) for length in lengths),
        ):
            where = new_conversation_id()
            Conversations(connection, reader).add(Conversation(where, reader, title, changed=time.time()))
            add_messages(connection, Conversations(connection, reader), where, length, chance, retried=0.0)


def _ask(page: Page, text: str) -> None:
    field: Any = page.get_by_test_id("stChatInputTextArea")
    field.fill(text)
    field.press("Enter")
