"""Where things stand on the page, on a desk and on a phone."""

from typing import Any

import pytest
from playwright.sync_api import FloatRect, Locator, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory
from tests.browser.test_conversations import show_chats
from tests.browser.test_focus import keyed, open_sidebar, two_wordings
from tests.browser.test_page import DESKTOP, PHONE

both = pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])

LONG = "a title of many words " * 9


def box(element: Locator) -> FloatRect:
    found = element.bounding_box()
    assert found is not None
    return found


def boxes(*elements: Locator) -> list[dict[str, float]]:
    """All at one moment: the page may scroll between two."""
    handles = [element.element_handle() for element in elements]
    script = "es => es.map(e => e.getBoundingClientRect()).map(({x, y, width, height}) => ({x, y, width, height}))"
    found: list[dict[str, float]] = elements[0].page.evaluate(script, handles)
    return found


def middle(found: dict[str, float]) -> float:
    return found["y"] + found["height"] / 2


def open_one(open_page: PageFactory, options: dict[str, Any], **more: Any) -> ChatPage:
    chat = open_page(**options, **more)
    chat.input.wait_for()
    return chat


@both
def test_a_questions_buttons_stand_in_their_lines(open_page: PageFactory, options: dict[str, Any]) -> None:
    chat = open_one(open_page, options)
    two_wordings(chat)
    chat.ask("a long question " * 12)
    chevrons = [keyed(chat, f"icon_chevron_{side}_") for side in ("left", "right")]
    left, count, right = boxes(chevrons[0], chat.page.get_by_text("2/2"), chevrons[1])
    assert middle(left) == pytest.approx(middle(right), abs=2)
    assert middle(left) == pytest.approx(middle(count), abs=3)
    assert left["x"] < count["x"] < right["x"]
    for question in (chat.bubbles.first, chat.bubbles.nth(2)):
        pencil = question.locator("[class*=st-key-icon_edit_] button:visible")
        text, icon = boxes(question.get_by_test_id("stText"), pencil)
        assert icon["x"] >= text["x"] + text["width"]
        assert icon["y"] < text["y"] + 30


@both
def test_the_buttons_of_all_turns_stand_below_one_another(open_page: PageFactory, options: dict[str, Any]) -> None:
    chat = open_one(open_page, options)
    chat.ask("one")
    chat.ask("a longer question that does not fit the strip's line as it is, on no screen at all")
    chat.page.locator(".st-key-context summary").click()
    for icon in ("keep", "visibility_off"):
        buttons = keyed(chat, f"icon_{icon}_")
        expect(buttons).to_have_count(2)
        buttons.first.click()
        expect(buttons.first).to_have_attribute("kind", "primary")
        pressed, other = boxes(buttons.first, buttons.last)
        assert pressed["x"] == other["x"]
        assert pressed["width"] == other["width"]


@both
def test_titles_begin_below_one_another_and_take_two_lines(open_page: PageFactory, options: dict[str, Any]) -> None:
    chat = open_one(open_page, options, locale="en-US")
    chat.ask("findme")
    show_chats(chat) if options is DESKTOP else open_sidebar(chat)
    menu = keyed(chat, "chat_menu_").first
    menu.click()
    chat.page.get_by_role("textbox", name="Title").fill(LONG)
    chat.page.keyboard.press("Enter")
    title = keyed(chat, "chats", "button p")
    expect(title).to_contain_text("a title of many words a title")
    chat.page.keyboard.press("Escape")
    starts = [box(menu.locator("p"))["x"] - box(menu)["x"]]
    assert starts[0] < 60  # behind its icon
    assert box(title)["height"] < 3 * 24
    chat.page.get_by_role("searchbox", name="Search conversations").fill("findme")
    chat.page.keyboard.press("Enter")
    found = keyed(chat, "found_0")
    expect(found).to_be_visible()
    text = found.locator("p")
    assert box(text)["x"] - box(found)["x"] < 20
    assert text.evaluate("e => getComputedStyle(e).textAlign") in ("start", "left")
    assert box(text)["height"] < 3 * 24


@both
def test_the_menu_of_a_reply_of_wide_code_fits_the_screen(open_page: PageFactory, options: dict[str, Any]) -> None:
    chat = open_one(open_page, options)
    chat.ask("say `" + "wide_code_" * 40 + "`")
    keyed(chat, "icon_menu_").click()
    menu = chat.page.get_by_test_id("stPopoverBody")
    expect(menu.locator("code")).to_be_visible()
    found = box(menu)
    assert found["width"] < 390
    assert found["x"] >= 0
    assert found["x"] + found["width"] <= options["viewport"]["width"]
    if options is DESKTOP:
        assert found["x"] >= box(chat.page.get_by_test_id("stSidebar"))["width"]


CONTRAST = """e => {
  const parts = color => [...color.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const light = rgb => {
    const [r, g, b] = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const layers = [];
  for (let one = e; one; one = one.parentElement) layers.unshift(parts(getComputedStyle(one).backgroundColor));
  const over = (rgb, [r, g, b, a]) => [r, g, b].map((c, i) => c * a + rgb[i] * (1 - a));
  const ground = layers.reduce(over, [255, 255, 255]);
  const both = [light(parts(getComputedStyle(e).color).slice(0, 3)), light(ground)].sort((a, b) => b - a);
  return (both[0] + 0.05) / (both[1] + 0.05);
}"""
"""As WCAG 2 computes it, over all that shines through."""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_button_whose_menu_is_open_can_be_read(open_page: PageFactory, scheme: str) -> None:
    chat = open_one(open_page, DESKTOP, color_scheme=scheme)
    chat.ask("hello")
    keys = ["icon_menu_", "presets", "chat_menu_"]
    for key in keys:
        if key == "chat_menu_":
            show_chats(chat)
        button = keyed(chat, key).and_(chat.page.get_by_test_id("stPopoverButton"))
        for number in range(button.count()):
            expect_readable(chat, button.nth(number))


def expect_readable(chat: ChatPage, button: Locator) -> None:
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    chat.wait_until(lambda: button.evaluate(CONTRAST) > 4.5, "its colours have changed")
    chat.page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-expanded", "false")
