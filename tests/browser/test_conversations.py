"""Conversations as a reader handles them in a browser: found again, gone back to, and changed."""

import json
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


def search(chat: ChatPage, words: str) -> None:
    field = chat.page.get_by_role("searchbox", name="Search conversations")
    field.fill(words)
    field.press("Enter")


def test_a_part_of_a_word_finds_a_conversation(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")  # a browser of its own, with nothing else to find
    chat.input.wait_for()
    chat.ask("床前明月光，疑是地上霜。")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.bubbles).to_have_count(0)
    chat.ask("something else")
    show_chats(chat)
    search(chat, "明月")
    found = chat.page.get_by_role("button", name="床前明月光")
    expect(found).to_have_count(1)
    found.click()
    expect(chat.bubbles.first).to_contain_text("疑是地上霜")
    search(chat, "月明")
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
    search(chat, "HEFFALUMP")
    chat.page.locator(".st-key-found_0").get_by_role("button").click()
    expect(chat.bubbles.first).to_contain_text("a question about heffalumps")
    expect(chat.reply).to_contain_text("You said: a question about heffalumps")


def open_listed(chat: ChatPage, title: str) -> None:
    show_chats(chat)
    chat.page.locator(".st-key-chats").get_by_role("button", name=title, exact=True).click()


def expect_settings(chat: ChatPage, question: str, temperature: str) -> None:
    """The conversation that began with this question is shown, with its own settings."""
    expect(chat.bubbles.first).to_contain_text(question)
    chat.page.get_by_role("tab", name="Settings").click()
    expect(chat.slider("Temperature")).to_have_value(temperature)


def test_each_conversation_keeps_its_settings_whichever_way_one_comes_back(open_page: PageFactory) -> None:
    chat = open_page("/?temperature=0.7", locale="en-US")
    chat.input.wait_for()
    chat.ask("the careful one")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.bubbles).to_have_count(0)
    chat.set_slider("Temperature", "1.2")
    chat.ask("the wild one")
    expect(chat.page).to_have_url(re.compile("temperature=1.2"))

    open_listed(chat, "the careful one")
    expect_settings(chat, "the careful one", "0.7")
    chat.set_slider("Temperature", "0.9")  # and on without another click
    open_listed(chat, "the wild one")
    expect_settings(chat, "the wild one", "1.2")

    chat.page.go_back()
    expect_settings(chat, "the careful one", "0.9")
    chat.page.go_back()
    expect_settings(chat, "the wild one", "1.2")
    chat.page.go_forward()
    expect_settings(chat, "the careful one", "0.9")
    chat.page.reload()
    expect_settings(chat, "the careful one", "0.9")


def bring_in(chat: ChatPage, content: object) -> None:
    """Through the dialog with all that is mine."""
    show_chats(chat)
    chat.page.get_by_role("button", name="My data").click()
    dialog = chat.page.get_by_role("dialog")
    file = {"name": "chats.json", "mimeType": "application/json", "buffer": json.dumps(content).encode()}
    dialog.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    expect(dialog).to_have_count(0)


def talk(*texts: str) -> dict[str, object]:
    """A conversation as training sets have them."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]}


def test_what_is_found_far_up_is_shown_and_marked(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    bring_in(chat, [talk(*(f"message {number}" + " heffalump" * (number == 101) for number in range(400)))])
    expect(chat.bubbles.last).to_contain_text("message 399")
    search(chat, "heffalump")
    chat.page.locator(".st-key-found_0").get_by_role("button").click()
    marked = chat.page.locator(".st-key-search_hit")
    expect(marked).to_contain_text("message 101 heffalump")
    expect(marked).to_be_in_viewport()
    expect(chat.bubbles).to_have_count(21 + 30)
    chat.page.get_by_role("button", name="Show the messages between (258)").press("Enter")
    expect(chat.page.get_by_role("button", name="Show the messages between (228)")).to_be_visible()
    expect(chat.page.get_by_text("message 141", exact=True)).to_be_visible()
    chat.ask("goodbye")
    expect(marked).to_have_count(0)


def test_more_of_what_was_found_is_shown(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    bring_in(chat, [talk(f"heffalump {number}", "see http://heffalump.example") for number in range(25)])
    expect(chat.bubbles.first).to_contain_text("heffalump 0")
    search(chat, "heffalump")
    found = chat.page.locator("[class*=st-key-found_]").get_by_role("button")
    expect(found).to_have_count(20)
    sidebar = chat.page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("http://heffalump.example")).to_have_count(20)
    expect(sidebar.get_by_role("link", name="heffalump")).to_have_count(0)
    sidebar.get_by_role("button", name="More of what was found").press("Enter")
    expect(found).to_have_count(25)


def test_what_was_deleted_is_had_back_from_the_bin(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    chat.ask("thrown away by mistake")
    show_chats(chat)
    chat.page.get_by_role("button", name="This conversation").click()
    chat.page.get_by_role("button", name="Delete", exact=True).click()
    expect(chat.bubbles).to_have_count(0)
    chat.page.reload()
    chat.input.wait_for()
    expect(chat.page.get_by_role("button", name="Undo")).to_have_count(0)
    show_chats(chat)
    chat.page.get_by_role("button", name="My data").click()
    dialog = chat.page.get_by_role("dialog")
    dialog.get_by_text("Deleted in the last 30 days (1)").click()
    expect(dialog.get_by_text("thrown away by mistake")).to_be_visible()
    dialog.get_by_role("button", name="Restore").click()
    expect(chat.bubbles.first).to_contain_text("thrown away by mistake")
    expect(chat.page.get_by_role("dialog")).to_have_count(0)


def test_what_is_asked_in_a_tab_goes_behind_what_it_shows(open_page: PageFactory) -> None:
    chat = open_page(locale="en-US")
    chat.input.wait_for()
    chat.ask("a cat")
    other = ChatPage(chat.page.context.new_page(), chat.url)
    other.page.goto(chat.page.url)
    expect(other.bubbles).to_have_count(2)
    other.bubbles.first.get_by_role("button", name="Edit").click()
    other.page.get_by_role("textbox", name="Edit").fill("half written")
    chat.bubbles.first.get_by_role("button", name="Edit").click()
    chat.page.get_by_role("textbox", name="Edit").fill("a dog")
    chat.page.get_by_role("button", name="Send", exact=True).click()
    expect(chat.bubbles.last).to_contain_text("You said: a dog")

    other.page.get_by_role("button", name="Send", exact=True).click()
    expect(other.bubbles.last).to_contain_text("You said: half written")
    chat.ask("messages please")
    expect(chat.reply).to_contain_text("user: a dog")
    expect(chat.bubbles).to_have_count(4)
