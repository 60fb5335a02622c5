"""How many bytes the page receives over its WebSocket for each byte of a reply, by the reply's length."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from bench.apps.replies import TOKENS_PER_SECOND, Kind, reply
from bench.proxy import CountingProxy, counting_proxy
from tests.browser.browsers import launch_chromium
from tests.server import running_server

APPLICATION_PAGE, TUTORIAL_PAGE = "this application", "st.write_stream"
SCRIPTS = {APPLICATION_PAGE: "bench/apps/application.py", TUTORIAL_PAGE: "bench/apps/tutorial.py"}
SETTLE_MILLISECONDS = 1500


@dataclass(frozen=True)
class Traffic:
    """What the page received for one reply, in bytes, from the question to the end.

    ``payload`` is what frames hold once they are decompressed, ``wire`` what TCP carries.
    """

    page: str
    kind: Kind
    tokens: int
    reply: int
    payload: int
    wire: int


class Reader:
    """A page in the browser that asks one question, its traffic counted."""

    def __init__(self, browser: Browser, proxy: CountingProxy, page: str, kind: Kind, tokens: int) -> None:
        self._proxy = proxy
        self._what = page
        self._kind: Kind = kind
        self._tokens = tokens
        self._payload = 0
        self._page: Page = browser.new_page(locale="en-US")
        self._page.on("websocket", lambda socket: self._follow(socket))
        self._page.goto(proxy.address)
        self._input = self._page.get_by_test_id("stChatInputTextArea")

    def ask(self) -> None:
        """Ask, once the page is at rest."""
        self._input.wait_for()
        self._page.wait_for_timeout(SETTLE_MILLISECONDS)
        self._payload_before, self._wire_before = self._payload, self._proxy.websockets.sent
        self._input.fill(f"{self._kind} {self._tokens}")
        self._input.press("Enter")

    def finish(self) -> Traffic:
        """Wait for the end of the reply."""
        patience = 1000 * (60 + 2 * self._tokens / TOKENS_PER_SECOND)
        if self._what == APPLICATION_PAGE:
            expect(self._page.get_by_role("button", name="Regenerate")).to_be_visible(timeout=patience)
        else:
            expect(self._page.get_by_text("The end.")).to_be_visible(timeout=patience)
        self._page.wait_for_timeout(SETTLE_MILLISECONDS)
        traffic = Traffic(
            page=self._what,
            kind=self._kind,
            tokens=self._tokens,
            reply=len("".join(reply(self._kind, self._tokens)).encode()),
            payload=self._payload - self._payload_before,
            wire=self._proxy.websockets.sent - self._wire_before,
        )
        self._page.close()
        return traffic

    def _follow(self, socket: WebSocket) -> None:
        def add(payload: str | bytes) -> None:
            self._payload += len(payload)

        socket.on("framereceived", add)


def measure_traffic(folder: Path, lengths: Sequence[int]) -> Iterator[Traffic]:
    """Prose and code on the application's page, prose on the tutorial's; ``folder`` is for logs.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    with ExitStack() as stack:
        ports = {}
        for page, script in SCRIPTS.items():
            log = folder / f"{Path(script).stem}.log"
            address = stack.enter_context(running_server(log, {}, script, "/_stcore/health", preloaded=False))
            ports[page] = urlsplit(address).port or 0
        playwright = stack.enter_context(sync_playwright())
        browser = launch_chromium(playwright)
        stack.callback(browser.close)
        for tokens in lengths:
            # The application's two are light enough to be read at the same time; the tutorial's page is not.
            together: list[tuple[str, Kind]] = [(APPLICATION_PAGE, "prose"), (APPLICATION_PAGE, "code")]
            alone: list[tuple[str, Kind]] = [(TUTORIAL_PAGE, "prose")]
            for readers in (together, alone):
                yield from _read(browser, ports, readers, tokens)


def _read(
    browser: Browser, ports: dict[str, int], readers: Sequence[tuple[str, Kind]], tokens: int
) -> Iterator[Traffic]:
    """Let readers ask one right after the other, and wait for all of them. Each has a proxy of its own."""
    with ExitStack() as stack:
        opened = [
            Reader(browser, stack.enter_context(counting_proxy(ports[page])), page, kind, tokens)
            for page, kind in readers
        ]
        for reader in opened:
            reader.ask()
        for reader in opened:
            yield reader.finish()
