"""Makes the pictures of the README: ``python scripts/take_pictures.py``. Needs Chromium.

They show the page as it is, in the light theme, in English and in Chinese, over an engine that recites.
"""

import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from bench.websocket import find_chromium  # noqa: E402
from scripts.picture_app import REPLIES  # noqa: E402
from tests.browser.conftest import CHROMIUM_ARGUMENTS  # noqa: E402
from tests.server import running_server  # noqa: E402

PICTURES = ROOT / "docs" / "images"

VIEW: ViewportSize = {"width": 1280, "height": 1130}
SCALE = 1.5
QUALITY = 85

QUESTIONS = {"en": list(REPLIES)[:4], "zh": list(REPLIES)[4:]}
"""In each language, what is asked: first the two turns of what is to be seen, then what else is in the list."""

PATIENCE_MILLISECONDS = 60_000


def main() -> None:
    """Take them all."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder) / "log.txt", {}, "scripts/picture_app.py", "/_stcore/health") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        for language in QUESTIONS:
            file = PICTURES / f"page.{language}.webp"
            taken = Image.open(io.BytesIO(take(browser, address, language)))
            taken.convert("RGB").save(file, quality=QUALITY, method=6)
            print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")
        browser.close()


def take(browser: Browser, address: str, language: str) -> bytes:
    """A PNG of the page with a conversation, and others in the list."""
    locale = {"en": "en-US", "zh": "zh-CN"}[language]
    context = browser.new_context(locale=locale, viewport=VIEW, device_scale_factor=SCALE, color_scheme="light")
    page = context.new_page()
    first, second, *others = QUESTIONS[language]
    for question in (*others, first):
        page.goto(f"{address}/?lang={language}")
        ask(page, question)
    ask(page, second)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # what fades has faded
    picture = page.screenshot()
    context.close()
    return picture


def ask(page: Page, question: str) -> None:
    """Send a question, and wait for its reply."""
    field = page.get_by_test_id("stChatInputTextArea")
    field.wait_for()
    field.fill(question)
    before = page.get_by_test_id("stChatMessage").count()
    field.press("Enter")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(before + 2)
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text(re.compile("tokens?/"))
    field.blur()


if __name__ == "__main__":
    main()
