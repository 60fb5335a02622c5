"""Where the keyboard's focus goes, and what a phone shows, when a reader does something that draws the page anew."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory
from tests.browser.test_conversations import show_chats
from tests.browser.test_page import PHONE


def keyed(chat: ChatPage, key: str, element: str = "button:visible") -> Locator:
    """What can be focused in the widgets whose keys begin so. A button with a name is drawn twice, once hidden."""
    return chat.page.locator(f"[class*='st-key-{key}'] {element}")


def press(chat: ChatPage, key: str) -> None:
    keyed(chat, key).first.press("Enter")


def edit(chat: ChatPage, question: str) -> Locator:
    """Open the editor of the first question and type; gives the field."""
    press(chat, "icon_edit_")
    field = keyed(chat, "edited_", "textarea")
    expect(field).to_be_focused()
    chat.page.keyboard.press("Control+a")
    chat.page.keyboard.type(question)
    return field


def two_wordings(chat: ChatPage) -> None:
    chat.ask("one wording")
    edit(chat, "another wording").press("Control+Enter")
    expect(chat.reply).to_contain_text("You said: another wording")
    expect(keyed(chat, "edited_", "textarea")).to_have_count(0)


def test_a_question_is_edited_with_the_keyboard_alone(chat: ChatPage) -> None:
    two_wordings(chat)
    expect(chat.input).to_be_focused()
    edit(chat, "never sent").press("Escape")
    expect(keyed(chat, "edited_", "textarea")).to_have_count(0)
    expect(keyed(chat, "icon_edit_")).to_be_focused()
    expect(chat.bubbles.first).to_contain_text("another wording")
    press(chat, "icon_edit_")
    expect(keyed(chat, "edited_", "textarea")).to_be_visible()
    press(chat, "cancel_edit")
    expect(keyed(chat, "icon_edit_")).to_be_focused()


def test_escape_ends_the_input_of_a_character_before_it_ends_editing(chat: ChatPage) -> None:
    chat.ask("one wording")
    field = edit(chat, "ni hao")
    field.evaluate(
        "e => e.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true, isComposing: true}))"
    )
    chat.page.wait_for_timeout(500)
    expect(field).to_be_focused()


def test_the_arrow_that_leads_on_has_the_focus(chat: ChatPage) -> None:
    two_wordings(chat)
    for arrow, next_arrow, place in (("left", "right", "1/2"), ("right", "left", "2/2")):
        press(chat, f"icon_chevron_{arrow}_")
        expect(chat.bubbles.first).to_contain_text(place)
        expect(keyed(chat, f"icon_chevron_{next_arrow}_")).to_be_focused()


def stop(chat: ChatPage) -> None:
    chat.type("held")
    expect(chat.reply).to_contain_text("word9")
    press(chat, "stop")
    expect(chat.stop).to_have_count(0)


def regenerate(chat: ChatPage) -> None:
    chat.ask("hello")
    press(chat, "regenerate")
    expect(chat.reply).to_contain_text("2/2")


def start_with_an_example(chat: ChatPage) -> None:
    press(chat, "example_0")
    expect(chat.bubbles).to_have_count(2)


def delete(chat: ChatPage) -> None:
    chat.ask("hello")
    show_chats(chat)
    press(chat, "chat_menu_")
    press(chat, "delete_chat")
    expect(chat.bubbles).to_have_count(0)


def undo(chat: ChatPage) -> None:
    delete(chat)
    press(chat, "undo_delete")
    expect(chat.bubbles).to_have_count(2)


def leave_out(chat: ChatPage) -> None:
    chat.ask("hello")
    chat.page.locator(".st-key-context summary").press("Enter")
    press(chat, "icon_visibility_off_")
    expect(chat.page.get_by_text("The model sees 0 of 1 turns")).to_be_visible()


def close_the_share_dialog(chat: ChatPage) -> None:
    chat.ask("hello")
    show_chats(chat)
    press(chat, "chat_menu_")
    press(chat, "share_chat")
    expect(chat.page.get_by_test_id("stDialog").get_by_role("button", name="Make a link")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_test_id("stDialog")).to_have_count(0)


@pytest.mark.parametrize(
    ("action", "key", "element"),
    [
        (stop, "question", "textarea"),
        (start_with_an_example, "question", "textarea"),
        (undo, "question", "textarea"),
        (regenerate, "regenerate", "button:visible"),
        (delete, "undo_delete", "button:visible"),
        (leave_out, "icon_visibility_off_", "button:visible"),
        (close_the_share_dialog, "chat_menu_", "button:visible"),
    ],
)
def test_the_focus_is_somewhere_afterwards(
    open_page: PageFactory, action: Callable[[ChatPage], None], key: str, element: str
) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    action(chat)
    expect(keyed(chat, key, element).first).to_be_focused()


def open_sidebar(chat: ChatPage) -> None:
    chat.page.get_by_test_id("stExpandSidebarButton").click()
    expect(chat.page.get_by_test_id("stSidebar")).to_be_in_viewport()
    show_chats(chat)


def expect_the_page(chat: ChatPage) -> None:
    expect(chat.page.get_by_test_id("stSidebar")).not_to_be_in_viewport()
    expect(chat.input).not_to_be_focused()  # which would bring up the keyboard


def test_on_a_phone_the_page_comes_before_the_sidebar(open_page: PageFactory) -> None:
    chat = open_page(**PHONE)
    chat.input.wait_for()
    chat.ask("the first conversation")
    chat.page.reload()
    expect(chat.bubbles).to_have_count(2)
    open_sidebar(chat)
    keyed(chat, "chats").first.tap()  # the one that is shown already
    expect_the_page(chat)
    open_sidebar(chat)
    keyed(chat, "new_chat").tap()
    expect(chat.bubbles).to_have_count(0)
    expect_the_page(chat)
    open_sidebar(chat)
    chat.page.get_by_role("button", name="the first conversation").tap()
    expect(chat.bubbles).to_have_count(2)
    expect_the_page(chat)
    open_sidebar(chat)
    keyed(chat, "chat_menu_").tap()
    keyed(chat, "delete_chat").tap()
    expect_the_page(chat)
    keyed(chat, "undo_delete").tap()
    expect(chat.bubbles).to_have_count(2)
    expect(chat.page).to_have_url(re.compile(r"[?&]c="))
