"""What the page shows, and how it looks."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_code_formulas_and_tables_are_rendered(chat: ChatPage) -> None:
    chat.page.set_viewport_size({"width": 1280, "height": 1500})
    chat.ask("rich")
    reply = chat.reply
    expect(reply.locator("h1")).to_have_text("Sorting, briefly")
    expect(reply.locator("strong").first).to_have_text("注意：")
    expect(reply.locator("li")).to_have_count(3)
    expect(reply.locator("li pre")).to_have_count(1)
    expect(reply.locator("pre code span[class*=token]").first).to_be_visible()
    expect(reply.locator(".katex-display")).to_have_count(1)
    expect(reply.locator(".katex")).to_have_count(6)
    expect(reply.locator(".katex-error")).to_have_count(0)
    expect(reply.locator("table tr")).to_have_count(3)
    expect(reply).to_contain_text("Costs are between $5 and $6; at 12:30:45 use std::vector, not std::vector :red[x]")
    expect(reply).to_contain_text(":smile:")
    expect(reply).to_contain_text("3~5天，每天2~3次")
    expect(reply.locator("del")).to_have_count(0)


def test_html_stays_text(chat: ChatPage) -> None:
    chat.ask("rich")
    expect(chat.reply).to_contain_text("<script>window.hacked = true</script>")
    assert chat.page.evaluate("window.hacked") is None
    chat.ask("<img src=x onerror='window.hacked = 1'>\n# no heading\n**as typed** :red[x] $x$")
    question = chat.bubbles.nth(2)
    expect(question).to_contain_text("# no heading")
    expect(question).to_contain_text("**as typed** :red[x] $x$")
    expect(chat.page.locator("img[src=x]")).to_have_count(0)
    assert chat.page.evaluate("window.hacked") is None


def test_links_and_pictures_in_a_reply_are_harmless(chat: ChatPage) -> None:
    asked: list[str] = []
    chat.page.on("request", lambda request: asked.append(request.url))
    chat.ask("say ![a picture](https://example.org/a.png) [a link](javascript:alert(1))")
    expect(chat.reply.get_by_role("link", name="a picture")).to_have_attribute("href", "https://example.org/a.png")
    assert not [url for url in asked if "example.org" in url]
    assert "javascript:" not in chat.reply.inner_html().replace("(javascript:", "")


def test_nothing_is_fetched_from_elsewhere(open_page: PageFactory) -> None:
    chat = open_page("/?lang=zh")
    asked: list[str] = []
    chat.page.on("request", lambda request: asked.append(request.url))
    chat.page.reload()
    chat.ask("rich")
    assert not [url for url in asked if not url.startswith((chat.url, "data:", "blob:"))]


def test_the_language_is_the_browsers(open_page: PageFactory) -> None:
    expect(open_page(locale="zh-CN").page.get_by_text("想聊点什么？")).to_be_visible()
    expect(open_page(locale="de-DE").page.get_by_text("What would you like to talk about?")).to_be_visible()
    expect(open_page("/?lang=zh", locale="en-US").page.get_by_text("想聊点什么？")).to_be_visible()


def test_an_example_starts_the_conversation(chat: ChatPage) -> None:
    chat.page.get_by_role("button", name="Give me three ideas").click()
    expect(chat.bubbles.first).to_contain_text("Give me three ideas")
    expect(chat.page.get_by_text("What would you like to talk about?")).to_have_count(0)


def test_readers_have_conversations_of_their_own(open_page: PageFactory) -> None:
    one, other = open_page(), open_page()
    one.ask("hello from one")
    other.ask("hello from the other")
    expect(other.bubbles).to_have_count(2)
    expect(one.bubbles.first).to_contain_text("hello from one")


def test_browsers_are_told_apart_where_nobody_signs_in(open_page: PageFactory) -> None:
    chats = [open_page(locale="en-US"), open_page(locale="en-US")]
    for chat in chats:
        chat.ask("hello")
    callers = [chat.call("/test/caller") for chat in chats]
    assert [caller["level"] for caller in callers] == ["local", "local"]
    assert chats[0].call("/test/visitors")[-2:] == [caller["account"] for caller in callers]
    assert callers[0]["account"] != callers[1]["account"]


def test_loading_turns_into_the_chat_by_itself(chat: ChatPage) -> None:
    chat.call("/test/state?is=loading")
    chat.page.reload()
    expect(chat.page.get_by_text(re.compile(r"reading the weights · \d+ s"))).to_be_visible()
    chat.shoot("loading")
    chat.call("/test/state?is=ready")
    expect(chat.input).to_be_visible()


def test_a_failed_start_says_why_and_can_be_repeated(chat: ChatPage) -> None:
    chat.call("/test/state?is=failed")
    chat.page.reload()
    expect(chat.page.get_by_text("python download.py")).to_be_visible()
    chat.shoot("failed")
    chat.page.get_by_role("button", name="Try again").click()
    expect(chat.input).to_be_visible()


def test_an_unexpected_error_shows_no_traceback(chat: ChatPage) -> None:
    chat.call("/test/state?is=broken")
    chat.page.reload()
    expect(chat.page.get_by_text("Something went wrong on this page")).to_be_visible()
    expect(chat.page.get_by_text("Traceback")).to_have_count(0)
    expect(chat.page.get_by_text("RuntimeError")).to_have_count(0)


def test_not_all_memory_is_looked_through_at_each_click(chat: ChatPage) -> None:
    """While it is, nobody else is served and no token is written."""
    clicks = 6
    before = chat.call("/test/now")["collections"]
    for number in range(clicks):
        chat.ask(f"question {number}")
    assert chat.call("/test/now")["collections"] - before < clicks / 2


def test_what_the_model_no_longer_sees_is_marked(chat: ChatPage) -> None:
    chat.call("/test/info?context=2160")
    chat.page.reload()
    chat.ask("a question of some length")
    chat.ask("another question of some length")
    expect(chat.page.get_by_text("The model no longer sees what is above this line")).to_be_visible()
    expect(chat.page.get_by_text("longer than the model can remember")).to_be_visible()
    chat.shoot("forgotten")


@pytest.mark.parametrize(
    ("device", "lang", "scheme"),
    [("desktop", "zh", "light"), ("desktop", "en", "dark"), ("phone", "zh", "dark"), ("phone", "en", "light")],
)
def test_looks(open_page: PageFactory, device: str, lang: str, scheme: str) -> None:
    """Takes the pictures that a person looks at, and checks that nothing is wider than the screen."""
    options = DESKTOP if device == "desktop" else PHONE
    chat = open_page(f"/?lang={lang}", **options, color_scheme=scheme)
    chat.call("/test/info?demo")
    chat.page.reload()
    chat.input.wait_for()
    expect(chat.page.get_by_role("button", name="Python")).to_be_visible()
    chat.shoot(f"empty-{device}-{lang}-{scheme}")
    chat.type("rich")
    expect(chat.reply.get_by_role("button", name="重新生成" if lang == "zh" else "Regenerate")).to_be_visible()
    expect(chat.reply.locator(".katex")).to_have_count(6)
    chat.shoot(f"rich-{device}-{lang}-{scheme}")
    width = chat.page.evaluate("document.scrollingElement.scrollWidth")
    assert width <= options["viewport"]["width"]
