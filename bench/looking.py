"""What looking inside a reply takes: what is sent for it, how soon it is drawn, and how fast sliders recolour it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import expect, sync_playwright

from bench.figures import percentile
from bench.proxy import counting_proxy
from tests.browser.browsers import launch_chromium
from tests.server import running_server

MOVES = 40
"""Of each slider, every time."""

SLIDERS = ("temperature", "top_p", "top_k", "repetition_penalty")

QUIET_MILLISECONDS = 2000
PATIENCE_MILLISECONDS = 120_000

_WATCH = """
(() => {
  const seen = window.seen = {most: 0, came: 0};
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...all) {
      super(...all);
      this.addEventListener("message", ({data}) => {
        const size = data.byteLength ?? data.size ?? data.length;
        if (size > seen.most) Object.assign(seen, {most: size, came: performance.now()});
      });
    }
  };
  const find = () => [...document.querySelectorAll("*")].some((one) => one.shadowRoot?.querySelector(".view"));
  window.whenDrawn = () => new Promise((done) => {
    seen.most = 0;
    const look = () => requestAnimationFrame(find() ? (now) => done({...seen, drawn: now}) : look);
    look();
  });
})();
"""
"""In the browser: when the largest message came, and when the frame with the view was on the screen."""

_MOVE = """
async (view, [name, moves]) => {
  const input = view.querySelector(`input[data-name=${name}]`), tokens = view.querySelector(".tokens"), taken = [];
  const low = Number(input.min), high = Number(input.max);
  for (let move = 0; move < moves; move++) {
    input.value = low + (high - low) * ((move * 37) % moves) / moves;
    let began;
    requestAnimationFrame(() => { began = performance.now(); });
    input.dispatchEvent(new Event("input"));
    taken.push(await new Promise((done) => requestAnimationFrame(() => {
      tokens.lastElementChild.getBoundingClientRect();  // styles and layout are part of it
      done((performance.now() - began) / 1000);
    })));
    // What is out of sight follows in later frames.
    for (let frame = 0; frame < 10; frame++) await new Promise(requestAnimationFrame);
  }
  return taken;
}
"""


@dataclass(frozen=True)
class Look:
    """One time that a reply of so many ``tokens`` was opened.

    ``sent`` are the bytes on the wire of the WebSocket, ``message`` those of the largest message before compression;
    ``seconds`` run from when that had come until the view was on the screen; ``moves`` are the seconds that the browser
    computed in a frame after a slider moved, styles and layout included.
    """

    tokens: int
    sent: int
    message: int
    seconds: float
    moves: Sequence[float]


class LookSummary(NamedTuple):
    """Medians, and of all moves the share of 95 in 100; in bytes and seconds."""

    times: int
    sent: float
    seconds: float
    move: float
    move_95: float


def summarize(looks: Sequence[Look]) -> LookSummary:
    """Of replies of the same length."""
    moves = [seconds for look in looks for seconds in look.moves]
    return LookSummary(
        len(looks),
        median(look.sent for look in looks),
        median(look.seconds for look in looks),
        median(moves),
        percentile(moves, 95),
    )


def measure_looks(folder: Path, tokens: int, times: int, moves: int = MOVES) -> Iterator[Look]:
    """Open a reply of so many tokens so many ``times``, and move each slider each time.

    Args:
        folder: for the server's state.
        tokens: the reply's.
        times: beside a first time, which does not count.
        moves: of each slider.
    """
    with ExitStack() as stack:
        log = folder / "looks.log"
        address = stack.enter_context(
            running_server(log, {}, "bench/apps/scored.py", "/_stcore/health", preloaded=False)
        )
        proxy = stack.enter_context(counting_proxy(urlsplit(address).port or 0))
        playwright = stack.enter_context(sync_playwright())
        browser = launch_chromium(playwright)
        stack.callback(browser.close)
        page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.add_init_script(_WATCH)
        page.goto(proxy.address)
        page.get_by_test_id("stChatInputTextArea").fill(f"prose {tokens}")
        page.get_by_test_id("stChatInputTextArea").press("Enter")
        for number in range(times + 1):
            if number:
                page.reload()  # to a tab that has it already, the reply is not sent again
            button = page.get_by_role("button", name="Look inside")
            expect(button).to_be_visible(timeout=PATIENCE_MILLISECONDS)
            page.wait_for_timeout(QUIET_MILLISECONDS)
            before = proxy.websockets.sent
            page.evaluate("() => { window.drawing = window.whenDrawn(); }")
            button.click()
            drawn = page.evaluate("window.drawing")
            page.wait_for_timeout(QUIET_MILLISECONDS)
            sent = proxy.websockets.sent - before
            view = page.locator(".view")
            taken = [seconds for name in SLIDERS for seconds in view.evaluate(_MOVE, [name, moves])]
            if number:  # the first time the scripts are loaded and compiled
                yield Look(tokens, sent, drawn["most"], (drawn["drawn"] - drawn["came"]) / 1000, taken)
