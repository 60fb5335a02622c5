"""Makes the pictures of the README and of docs/sampling.md: ``python scripts/take_pictures.py``. Needs Chromium.

They show the page as it is, in the light theme, in English and in Chinese: the README's over an engine that recites,
those of the sampling parameters over the demo model, whose odds are real.
"""

import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, ViewportSize, expect, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from components.ui.texts import TEXTS, Language  # noqa: E402
from scripts.picture_app import REPLIES  # noqa: E402
from tests.browser.browsers import launch_chromium  # noqa: E402
from tests.server import running_server  # noqa: E402

PICTURES = ROOT / "docs" / "images"

LOCALES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}

TALL_VIEW: ViewportSize = {"width": 1180, "height": 1900}
"""So tall that nothing must be scrolled to."""

MARGIN = 10
"""Around parts of the page, in pixels."""

UNSURE = 6
"""A token of the reply at which the model was not sure."""

VIEW: ViewportSize = {"width": 1280, "height": 1130}
SCALE = 1.5
QUALITY = 85

QUESTIONS: dict[Language, list[str]] = {"en": list(REPLIES)[:4], "zh": list(REPLIES)[4:]}
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
        browser = launch_chromium(playwright)
        for language in QUESTIONS:
            save(take(browser, address, language), f"page.{language}")
        with running_server(Path(folder) / "demo.txt", {}) as demo:
            for language in QUESTIONS:
                take_sampling(browser, demo, language)
        browser.close()


def save(png: bytes, name: str) -> None:
    """Keep a picture in the documents."""
    file = PICTURES / f"{name}.webp"
    Image.open(io.BytesIO(png)).convert("RGB").save(file, quality=QUALITY, method=6)
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")


def take(browser: Browser, address: str, language: Language) -> bytes:
    """A PNG of the page with a conversation, and others in the list."""
    context = browser.new_context(
        locale=LOCALES[language], viewport=VIEW, device_scale_factor=SCALE, color_scheme="light"
    )
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


def take_sampling(browser: Browser, address: str, language: Language) -> None:
    """A reply as its tokens, the odds of one of them, and a grid of the lab."""
    texts = TEXTS[language]
    context = browser.new_context(locale=LOCALES[language], viewport=TALL_VIEW, device_scale_factor=SCALE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(f"{address}/?lang={language}&temperature=0.8&top_p=0.9&top_k=20&max_new_tokens=60&seed=4")
    ask(page, "Where do swallows live?")
    page.get_by_role("button", name=texts.inside.open).last.click()
    view = page.locator(".view").last
    view.wait_for()
    tokens = view.get_by_role("option")
    tokens.nth(UNSURE).click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    save(from_to(page, view.locator(".sliders"), view.locator(".tokens")), f"tokens.{language}")
    save(from_to(page, view.locator(".heading"), view.locator(".distribution")), f"bars.{language}")

    page.get_by_role("button", name=texts.lab.title, exact=True).click()
    page.get_by_role("radio", name=texts.lab.views["grid"], exact=True).click()
    page.get_by_role("combobox", name=texts.lab.across).wait_for()
    question = page.get_by_label(texts.lab.question, exact=True)
    question.fill("Where do swallows live?")
    question.press("Control+Enter")
    page.get_by_role("button", name=texts.lab.ask, exact=True).click()
    page.get_by_role("button", name=texts.lab.use, exact=True).wait_for(timeout=10 * PATIENCE_MILLISECONDS)
    page.wait_for_timeout(2000)  # the plot has grown to its size
    save(page.get_by_test_id("stVegaLiteChart").last.screenshot(), f"grid.{language}")
    context.close()


def from_to(page: Page, first: Locator, last: Locator) -> bytes:
    """What stands from one element to another below it."""
    top, bottom = first.bounding_box(), last.bounding_box()
    assert top is not None
    assert bottom is not None
    left, right = min(top["x"], bottom["x"]), max(top["x"] + top["width"], bottom["x"] + bottom["width"])
    height = bottom["y"] + bottom["height"] - top["y"]
    clip = FloatRect(x=left - MARGIN, y=top["y"] - MARGIN, width=right - left + 2 * MARGIN, height=height + 2 * MARGIN)
    return page.screenshot(clip=clip)


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
