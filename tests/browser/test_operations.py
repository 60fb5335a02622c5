"""The owner's page: how the server is doing, and who is being served."""

from playwright.sync_api import expect

from tests.access.conftest import OWNER_CODE
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory


def open_as_owner(open_page: PageFactory) -> ChatPage:
    """A browser of its own that followed the owner's link."""
    return open_page(f"/?code={OWNER_CODE}", viewport={"width": 1280, "height": 800})


def test_the_owner_sees_who_is_served_and_can_cancel_it(chat: ChatPage, open_page: PageFactory) -> None:
    chat.type("slow operations")
    expect(chat.reply).to_contain_text("word3")
    operations = open_as_owner(open_page).page
    operations.goto(f"{chat.url}/operations?lang=en")
    expect(operations.get_by_text("Tokens per second")).to_be_visible()
    expect(operations.get_by_test_id("stMetric").first).to_contain_text("Writing")
    row = operations.get_by_test_id("stMarkdown").filter(has_text="Page")
    expect(row).to_contain_text("tokens")
    ChatPage(operations, chat.url).shoot("operations")
    operations.get_by_role("button", name="Cancel").click()
    expect(chat.reply).to_contain_text("stopped")
    expect(chat.reply).to_contain_text("word3")
    expect(operations.get_by_text("Nobody is being served right now.")).to_be_visible()


def test_who_came_without_the_owners_code_neither_sees_it_nor_its_link(open_page: PageFactory) -> None:
    chat = open_page()
    chat.ask("hello")
    expect(chat.page.get_by_role("link", name="Operations")).to_have_count(0)
    chat.page.goto(f"{chat.url}/operations?lang=en")
    expect(chat.page.get_by_role("alert")).to_contain_text("owner")
    expect(chat.page.get_by_test_id("stMetric")).to_have_count(0)


def test_the_chat_links_to_it_in_a_tab_of_its_own(open_page: PageFactory) -> None:
    chat = open_as_owner(open_page)
    chat.ask("hello")
    with chat.page.context.expect_page() as opened:
        chat.page.get_by_role("link", name="Operations").click()
    expect(opened.value.get_by_role("heading", name="Operations")).to_be_visible()
    expect(chat.reply).to_contain_text("You said: hello")
    opened.value.close()
