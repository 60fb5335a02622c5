"""The site of what readers shared, opened from its folder: without a server, and without a network."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from components.store.shares import Share, SharedMessage
from components.web.site import write_site
from components.web.texts import TEXTS
from tests.browser.conftest import NewBrowser
from tests.markdown.replies import REPLIES

WIDE = (
    "甲[^1] $" + "+".join("abcdefghijklmnopqrstuvwxyz" * 3) + "$\n\n[^1]: 乙\n\n"
    f"`{'x' * 200}`\n\n```py\n{'x' * 200}\n```\n\n|{'a|' * 20}\n|{'-|' * 20}\n\n- [x] https://a.org/{'x' * 200}\n"
)


@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_read_without_a_network(new_browser: NewBrowser, tmp_path: Path, width: int) -> None:
    said = [SharedMessage("assistant", text, "M", "stop") for text in [WIDE, WIDE, *(one.says for one in REPLIES)]]
    write_site([Share(id="x", conversation="c", title="x", content=said)], TEXTS["zh"], tmp_path / "site")
    page = new_browser(viewport={"width": width, "height": 800}).new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))

    page.goto((tmp_path / "site" / "x.html").as_uri())

    assert page.evaluate("document.documentElement.scrollWidth") == width
    second = page.locator("article").nth(1)
    second.locator("p sup a").first.click()
    expect(second.locator(".note")).to_be_in_viewport()
    assert page.url.endswith("#1-note-1")
    second.locator(".note sup a").click()
    assert page.url.endswith("#1-ref-1")
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert complaints == []
