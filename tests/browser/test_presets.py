"""Presets as a reader handles them in a browser."""

from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory


def choose(chat: ChatPage, name: str) -> None:
    chat.page.locator(".st-key-preset").get_by_role("button").click()
    chat.page.get_by_role("menuitem", name=name, exact=True).click()


def test_a_preset_of_ones_own_is_there_after_a_reload_and_nobody_else_has_it(
    chat: ChatPage, open_page: PageFactory
) -> None:
    choose(chat, "Creative")
    expect(chat.slider("Temperature")).to_have_value("1.1")
    chat.page.get_by_role("button", name="Save or share").click()
    chat.page.get_by_role("textbox", name="Name of a new preset").fill("Dreaming")
    chat.page.get_by_role("button", name="Save what is set").click()
    expect(chat.page.get_by_role("button", name="Dreaming")).to_be_visible()
    chat.page.keyboard.press("Escape")
    choose(chat, "Precise")
    expect(chat.slider("Temperature")).to_have_value("0.2")

    chat.open()
    choose(chat, "Dreaming")
    expect(chat.slider("Temperature")).to_have_value("1.1")

    other = open_page(color_scheme="dark")  # another browser
    other.input.wait_for()
    other.page.locator(".st-key-preset").get_by_role("button").click()
    expect(other.page.get_by_role("menuitem")).to_have_text(["Precise", "Balanced", "Creative"])
