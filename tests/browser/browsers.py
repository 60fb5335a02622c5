"""Browsers that no site knows, but that have loaded Streamlit's scripts before, which takes seconds.

A context of Playwright's is a browser of its own, with cookies and a cache. One that is not needed any more forgets all
cookies and what pages keep, and is somebody else's next.
"""

import shutil
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright

from tests.browser.chat_page import PATIENCE_MS

CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first has no window that nobody sees: a page that loads anew takes half of the others' computing."""

IN_THE_NETWORK = "chat.test"
"""Leads to this machine as its name in a network would: without TLS, browsers trust it less than localhost."""

ARGUMENTS = [
    f"--host-resolver-rules=MAP {IN_THE_NETWORK} 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

USUAL_OPTIONS: dict[str, Any] = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}}


def launch_chromium(playwright: Playwright) -> Browser:
    """Start the browser of this machine.

    Raises:
        FileNotFoundError: there is none.
    """
    path = next((found for name in CHROMIUMS if (found := shutil.which(name))), None)
    if path is None:
        raise FileNotFoundError("There is no Chromium: bash scripts/install-test-tools")
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


class Browsers:
    """Lends contexts by the options that they were made with."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: dict[str, list[BrowserContext]] = {}
        self._options: dict[BrowserContext, str] = {}

    def take(self, **options: Any) -> BrowserContext:
        """One with these options of ``Browser.new_context``, of the usual size and language where they say nothing."""
        options = {**USUAL_OPTIONS, **options}
        key = repr(sorted(options.items()))
        idle = self._idle.setdefault(key, [])
        context = idle.pop() if idle else self._browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        self._options[context] = key
        return context

    def give_back(self, context: BrowserContext) -> None:
        """Close its pages; it forgets who it was."""
        for page in context.pages:
            page.close()
        context.set_storage_state({"cookies": [], "origins": []})
        context.clear_permissions()
        self._idle[self._options.pop(context)].append(context)
