"""Conversations as a reader handles them in a browser: found again, gone back to, and changed."""

import re

from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory


def test_a_bookmark_and_the_back_button_find_a_conversation_again(chat: ChatPage) -> None:
    chat.ask("the first conversation")
    expect(chat.page).to_have_url(re.compile(r"[?&]c="))
    first = chat.page.url
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.bubbles).to_have_count(0)
    chat.ask("the second conversation")
    expect(chat.page).not_to_have_url(first)
    chat.page.goto(first)
    expect(chat.bubbles.first).to_contain_text("the first conversation")
    chat.page.go_back()
    expect(chat.bubbles.first).to_contain_text("the second conversation")


def test_arrows_lead_between_the_wordings_of_a_question(chat: ChatPage) -> None:
    chat.ask("one wording")
    chat.bubbles.first.get_by_role("button", name="Edit").click()
    chat.page.get_by_role("textbox", name="Edit").fill("another wording")
    chat.page.get_by_role("button", name="Send", exact=True).click()
    expect(chat.bubbles.last).to_contain_text("You said: another wording")
    expect(chat.bubbles.first).to_contain_text("2/2")
    chat.bubbles.first.get_by_role("button", name="The one before").click()
    expect(chat.bubbles.last).to_contain_text("You said: one wording")


def test_a_reply_is_copied_as_markdown(open_page: PageFactory) -> None:
    chat = open_page(permissions=["clipboard-read", "clipboard-write"])
    chat.input.wait_for()
    chat.ask("say **this** in $x$")
    chat.reply.get_by_role("button", name="More about this reply").press("Enter")
    menu = chat.page.get_by_role("dialog")
    menu.locator("code").hover()
    menu.get_by_role("button", name="Copy to clipboard").click()
    chat.wait_until(
        lambda: chat.page.evaluate("navigator.clipboard.readText()") == "You said: say **this** in $x$",
        "the reply is in the clipboard",
    )


def test_a_turn_is_left_out_of_what_the_model_sees(chat: ChatPage) -> None:
    chat.ask("a secret")
    strip = chat.page.get_by_text("The model sees 1 of 1 turns")
    strip.click()
    chat.page.get_by_role("button", name="Leave out").click()
    expect(chat.page.get_by_text("The model sees 0 of 1 turns")).to_be_visible()
    chat.ask("messages please")
    expect(chat.reply).to_contain_text("user: messages please")
    expect(chat.reply).not_to_contain_text("a secret")


def show_chats(chat: ChatPage) -> None:
    chat.page.get_by_role("tab", name="Conversations").click()


def test_a_part_of_a_word_finds_a_conversation(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")  # a browser of its own, with nothing else to find
    chat.input.wait_for()
    chat.ask("床前明月光，疑是地上霜。")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.bubbles).to_have_count(0)
    chat.ask("something else")
    show_chats(chat)
    chat.page.get_by_role("searchbox", name="Search conversations").fill("明月")
    chat.page.keyboard.press("Enter")
    found = chat.page.get_by_role("button", name="床前明月光")
    expect(found).to_have_count(1)
    found.click()
    expect(chat.bubbles.first).to_contain_text("疑是地上霜")
    chat.page.get_by_role("searchbox", name="Search conversations").fill("月明")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_text("Nothing was found.")).to_be_visible()


def test_a_conversation_is_renamed_and_thrown_away_and_had_back(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    chat.ask("the old title")
    show_chats(chat)
    chat.page.get_by_role("button", name="This conversation").click()
    chat.page.get_by_role("textbox", name="Title").fill("the new title")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("button", name="the new title", exact=True)).to_be_visible()
    expect(chat.page.get_by_role("button", name="the old title", exact=True)).to_have_count(0)
    chat.page.get_by_role("button", name="Delete", exact=True).click()
    expect(chat.bubbles).to_have_count(0)
    expect(chat.page.get_by_role("button", name="the new title", exact=True)).to_have_count(0)
    chat.page.get_by_role("button", name="Undo").click()
    expect(chat.bubbles.first).to_contain_text("the old title")
    expect(chat.page.get_by_role("button", name="the new title", exact=True)).to_be_visible()


def test_a_word_finds_the_branch_in_which_it_was_said(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    chat.ask("a question about heffalumps")
    chat.bubbles.first.get_by_role("button", name="Edit").click()
    chat.page.get_by_role("textbox", name="Edit").fill("another question")
    chat.page.get_by_role("button", name="Send", exact=True).click()
    expect(chat.reply).to_contain_text("You said: another question")
    show_chats(chat)
    chat.page.get_by_role("searchbox", name="Search conversations").fill("HEFFALUMP")
    chat.page.keyboard.press("Enter")
    chat.page.locator(".st-key-found_0").get_by_role("button").click()
    expect(chat.bubbles.first).to_contain_text("a question about heffalumps")
    expect(chat.reply).to_contain_text("You said: a question about heffalumps")
