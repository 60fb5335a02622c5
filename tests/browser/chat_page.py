"""The chat page as a reader handles it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import APIResponse, BrowserContext, Locator, Page, expect

SCREENSHOTS = Path(__file__).parent.parent / "screenshots"

PATIENCE_MS = 90_000
"""How long anything may take on a machine that is busy with something else. Playwright's own is 30 seconds."""


def get(context: BrowserContext, url: str) -> APIResponse:
    """Ask a server what this browser would get, with its cookies.

    A connection that was kept may be closed by the server just when it is used again: then it is asked once more.
    """
    return context.request.get(url, max_retries=5, timeout=PATIENCE_MS)


class ChatPage:
    """Finds things on the page by what they are for. The page is in English unless a test says otherwise."""

    def __init__(self, page: Page, url: str) -> None:
        page.set_default_timeout(PATIENCE_MS)
        self.page = page
        self.url = url
        self.input = page.get_by_test_id("stChatInputTextArea")
        self.stop = page.get_by_role("button", name="Stop", exact=True)
        self.regenerate = page.get_by_role("button", name="Regenerate", exact=True)
        self.resume = page.get_by_role("button", name="Continue", exact=True)
        self.bubbles = page.get_by_test_id("stChatMessage")

    @property
    def reply(self) -> Locator:
        """The newest reply."""
        return self.bubbles.last

    def open(self, query: str = "") -> None:
        self.page.goto(self.url + query)
        self.input.wait_for()

    def type(self, text: str) -> None:
        """Send ``text``."""
        self.input.fill(text)
        self.input.press("Enter")

    def ask(self, question: str) -> None:
        """Send a question and wait until its reply has ended."""
        self.wait_for_rest()
        before = self.bubbles.count()
        self.type(question)
        expect(self.bubbles).to_have_count(before + 2)
        self.wait_for_end()

    def wait_for_rest(self) -> None:
        """Until the script has run to its end: before that the page may miss some of what it will show."""
        expect(self.page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")

    def wait_for_end(self) -> None:
        expect(self.reply.get_by_role("button")).not_to_have_count(0)
        expect(self.stop).to_have_count(0)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that the page itself does not show."""
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(50)

    def call(self, path: str) -> Any:
        """What a route of the server answers."""
        return get(self.page.context, self.url + path).json()

    def was_cancelled(self, question: str) -> bool:
        """Whether the scripted engine stopped writing because the reader of this reply went away or pressed Stop."""
        return bool(self.call(f"/test/cancelled?question={question}"))

    def set_slider(self, label: str, value: str) -> None:
        """Move a slider to a value with the keyboard, from its low end."""
        thumb = self.slider(label)
        thumb.focus()
        thumb.press("Home")
        while thumb.input_value() != value:
            assert thumb.input_value() != thumb.get_attribute("max"), f"{label} has no {value}"
            thumb.press("ArrowRight")

    def slider(self, label: str) -> Locator:
        """The thumb of a slider; its input value is what the slider shows."""
        return self.page.get_by_test_id("stSlider").filter(has_text=label).get_by_role("slider")

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
