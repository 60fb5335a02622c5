"""The lab, as readers handle it in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.access.conftest import LOCKED
from tests.browser.browsers import IN_THE_NETWORK
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser, PageFactory
from tests.browser.test_page import DESKTOP, PHONE
from tests.browser.test_sharing import Readers, button
from tests.server import running_server


@pytest.fixture(scope="module")
def sharing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with running_server(folder / "server.log", LOCKED, "tests/browser/scripted_app.py", "/health") as url:
        yield url, folder


@pytest.fixture
def readers(new_browser: NewBrowser, sharing_server: tuple[str, Path]) -> Readers:
    return Readers(new_browser, *sharing_server)


def open_lab(chat: ChatPage) -> None:
    button(chat.page, "Lab").click()
    expect(chat.page.get_by_role("heading", name="Lab")).to_be_visible()


def ask(chat: ChatPage, question: str, label: str = "Question", send: str = "Ask") -> None:
    chat.wait_for_rest()  # until then another view's form may still be closing
    field = chat.page.get_by_label(label, exact=True)
    field.fill(question)
    field.press("Control+Enter")
    button(chat.page, send).press("Enter")  # it moves while the page still grows above it: a click may miss it


def choose(chat: ChatPage, name: str) -> None:
    chat.page.get_by_role("radio", name=name, exact=True).click()


def marks(chat: ChatPage) -> Locator:
    return chat.page.locator(".lab-reply mark")


def test_the_settings_that_won_are_kept_as_a_preset(chat: ChatPage) -> None:
    open_lab(chat)
    ask(chat, "settings please")
    expect(button(chat.page, "Use these")).to_have_count(2)
    button(chat.page, "Save as a preset").last.click()
    chat.page.get_by_role("textbox", name="Name of a new preset").fill("Winner")
    button(chat.page, "Save what is set").click()
    expect(chat.page.get_by_text("Winner")).to_be_visible()
    button(chat.page, "Back to the chat").click()

    chat.page.locator(".st-key-preset").get_by_role("button").click()
    expect(chat.page.get_by_role("menuitem", name="Winner", exact=True)).to_be_visible()


def test_four_settings_answer_side_by_side_and_what_differs_is_marked(chat: ChatPage) -> None:
    open_lab(chat)
    choose(chat, "4")
    expect(chat.page.get_by_text("Settings D")).to_be_visible()
    ask(chat, "settings <b>please</b>")

    expect(button(chat.page, "Use these")).to_have_count(4)
    expect(marks(chat)).not_to_have_count(0)
    # Each says its own settings: what differs is the temperature.
    expect(chat.page.locator(".lab-reply").nth(1)).to_contain_text('"temperature"')
    expect(chat.page.get_by_text(re.compile("% differs from A"))).to_have_count(3)
    chat.shoot("lab-compare")


def test_a_reply_is_text_and_no_html(chat: ChatPage) -> None:
    open_lab(chat)
    ask(chat, "<img src=x onerror=alert(1)> <b>bold</b>")
    expect(button(chat.page, "Use these")).to_have_count(2)
    expect(chat.page.locator(".lab-reply").first).to_have_text("You said: <img src=x onerror=alert(1)> <b>bold</b>")
    expect(chat.page.locator(".lab-reply b")).to_have_count(0)


def test_what_is_adopted_moves_the_chats_sliders(chat: ChatPage) -> None:
    chat.ask("hello")
    address = chat.page.url
    chat.set_slider("Top k", "9")
    chat.set_slider("Longest reply", "96")
    open_lab(chat)
    ask(chat, "hello")
    expect(button(chat.page, "Use these")).to_have_count(2)
    button(chat.page, "Use these").nth(1).click()

    chat.input.wait_for()
    expect(chat.slider("Temperature")).to_have_value("0.7")
    expect(chat.slider("Top k")).to_have_value("9")
    expect(chat.slider("Longest reply")).to_have_value("96")  # the lab's are shorter
    expect(chat.bubbles).to_have_count(2)
    assert re.search(r"c=([\w-]+)", chat.page.url)[1] == re.search(r"c=([\w-]+)", address)[1]  # type: ignore[index]


def instruct(chat: ChatPage, text: str) -> None:
    field = chat.page.get_by_role("textbox", name="System prompt")
    field.fill(text)
    field.press("Control+Enter")
    chat.ask("messages")  # what is asked is kept with it
    expect(chat.bubbles.last).to_contain_text(text)


def test_what_is_adopted_leaves_the_chats_system_prompt_alone(chat: ChatPage) -> None:
    system, link = chat.page.get_by_role("textbox", name="System prompt"), button(chat.page, "Use these")
    instruct(chat, "Be brief.")
    open_lab(chat)
    ask(chat, "messages")
    expect(link).to_have_count(2)
    sheet = chat.page.url
    button(chat.page, "Back to the chat").click()
    chat.input.wait_for()
    instruct(chat, "Be exact.")
    temperature = chat.slider("Temperature").input_value()

    def is_adopted() -> None:
        link.nth(1).click()
        chat.input.wait_for()
        expect(chat.slider("Temperature")).not_to_have_value(temperature)
        expect(system).to_have_value("Be exact.")
        chat.set_slider("Temperature", temperature)

    open_lab(chat)
    choose(chat, "My sheets")
    button(chat.page, "Open").first.click()
    is_adopted()
    chat.page.goto(sheet)  # a tab that did not show the chat before
    is_adopted()


def test_the_way_to_the_lab_and_back_forgets_nothing(chat: ChatPage) -> None:
    chat.page.locator(".st-key-preset").get_by_role("button").click()
    chat.page.get_by_role("menuitem", name="Balanced", exact=True).click()
    expect(chat.slider("Top k")).to_have_value("40")
    chat.set_slider("Top k", "7")
    chat.page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    chat.page.get_by_role("textbox", name="System prompt").press("Control+Enter")
    expect(chat.page).to_have_url(re.compile(r"top_k=7\b"))
    open_lab(chat)
    button(chat.page, "Back to the chat").click()
    chat.input.wait_for()
    expect(chat.slider("Top k")).to_have_value("7")
    expect(chat.page.get_by_role("textbox", name="System prompt")).to_have_value("Be brief.")


def test_a_reply_that_is_written_is_seen_and_stopped(chat: ChatPage) -> None:
    open_lab(chat)
    ask(chat, "held lab")
    expect(chat.page.get_by_text(re.compile("word3"))).to_have_count(2)
    chat.stop.click()
    expect(chat.page.get_by_text("Stopped. What was written until then is kept.")).to_be_visible()
    expect(chat.page.locator(".lab-reply").first).to_contain_text("word3")
    chat.wait_until(lambda: chat.was_cancelled("held lab"), "the replies are not stopped")


def test_a_grid_fills_and_a_cell_is_opened_by_a_click_and_from_the_list(chat: ChatPage) -> None:
    open_lab(chat)
    choose(chat, "Grid")
    expect(chat.page.get_by_text("9 cells × 2 = 18 replies")).to_be_visible()
    ask(chat, "settings")

    expect(chat.page.get_by_text("Sample 2")).to_be_visible()
    plot = chat.page.get_by_test_id("stVegaLiteChart")
    expect(plot).to_be_visible()
    chat.shoot("lab-grid")
    box = plot.locator("canvas, svg").first.bounding_box()
    assert box is not None
    plot.locator("canvas, svg").first.click(position={"x": box["width"] * 0.9, "y": box["height"] * 0.15})
    expect(chat.page.get_by_test_id("stMarkdown").filter(has_text='"temperature":1.1').first).to_contain_text(
        '"top_p":0.5'
    )
    cells = chat.page.get_by_role("combobox", name="Cell to read")
    expect(cells).to_have_value("Temperature 1.1 · Top p 0.5")
    cells.focus()
    cells.press("ArrowDown")
    cells.press("ArrowDown")
    cells.press("Enter")
    expect(cells).not_to_have_value("Temperature 1.1 · Top p 0.5")

    def is_chosen_by_a_click() -> bool:
        plot.locator("canvas, svg").first.click(position={"x": box["width"] * 0.9, "y": box["height"] * 0.15})
        chat.page.wait_for_timeout(500)
        return cells.input_value() == "Temperature 1.1 · Top p 0.5"

    chat.wait_until(is_chosen_by_a_click, "the cell that was clicked before the list cannot be clicked again")


def test_a_grid_that_is_stopped_keeps_what_there_is(chat: ChatPage) -> None:
    open_lab(chat)
    choose(chat, "Grid")
    expect(chat.page.get_by_text("9 cells × 2 = 18 replies")).to_be_visible()
    ask(chat, "held grid")
    expect(chat.page.get_by_text("0 of 18 replies")).to_be_visible()
    chat.page.reload()  # it belongs to the server
    expect(chat.page.get_by_text("0 of 18 replies")).to_be_visible()
    chat.stop.click()
    expect(chat.page.get_by_text("Stopped. What was written until then is kept.")).to_be_visible()
    expect(chat.page.get_by_test_id("stMarkdown").filter(has_text="word2").first).to_be_visible()
    choose(chat, "My sheets")
    expect(chat.page.get_by_text("held grid").first).to_be_visible()


def test_wrong_values_are_refused_in_words(open_page: PageFactory) -> None:
    chat = open_page(locale="zh-CN")
    chat.input.wait_for()
    button(chat.page, "实验室").click()
    chat.page.get_by_role("radio", name="网格", exact=True).click()
    values = chat.page.get_by_role("textbox").nth(1)
    values.fill("0.3, 90")
    values.press("Enter")
    ask(chat, "你好", "问题", "提问")
    expect(chat.page.get_by_text("有效取值：0.3, 90")).to_be_visible()


@pytest.mark.parametrize(
    ("device", "lang", "scheme"),
    [("desktop", "zh", "dark"), ("phone", "zh", "light"), ("phone", "en", "dark")],
)
def test_looks_of_the_lab(open_page: PageFactory, device: str, lang: str, scheme: str) -> None:
    """Takes the pictures that a person looks at, and checks that nothing is wider than the screen."""
    options = DESKTOP if device == "desktop" else PHONE
    chat = open_page(f"/lab?lang={lang}", **options, color_scheme=scheme)
    words = {"en": ("Question", "Ask", "Use these", "Grid"), "zh": ("问题", "提问", "采用这组参数", "网格")}[lang]
    question, send, use, grid = words
    for name in ("compare", "grid"):
        if name == "grid":
            chat.page.get_by_role("radio", name=grid, exact=True).click()
            expect(button(chat.page, use)).to_have_count(0)
        ask(chat, "settings, please", question, send)
        expect(button(chat.page, use)).to_have_count(2 if name == "compare" else 1)
        chat.shoot(f"lab-{name}-{device}-{lang}-{scheme}")
        width = chat.page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= options["viewport"]["width"]


def shared_sheet(author: ChatPage, question: str) -> str:
    """Compare two replies and share them; gives the link."""
    open_lab(author)
    ask(author, question)
    expect(button(author.page, "Use these")).to_have_count(2)
    author.page.locator("summary", has_text="Share and let others vote").press(
        "Enter"
    )  # the page may still grow above it
    button(author.page, "Make a link").press("Enter")  # it moves while its box opens: a click may miss it
    return author.page.get_by_test_id("stCode").inner_text().strip()


def test_a_sheet_is_voted_on_without_tls(readers: Readers) -> None:
    link = shared_sheet(readers.visitor(), "hello").replace("127.0.0.1", IN_THE_NETWORK)
    voter = readers.stranger(link)
    assert not voter.page.evaluate("window.isSecureContext")
    button(voter.page, "This one is the best").first.click()
    expect(voter.page.get_by_text("Your vote")).to_be_visible()


def test_a_sheet_is_shared_read_without_a_code_and_voted_on_once(readers: Readers) -> None:
    author = readers.visitor()
    link = shared_sheet(author, "hello <i>shared</i>")
    voter = readers.stranger(link)
    expect(voter.page.get_by_text("hello <i>shared</i>").first).to_be_visible()
    expect(voter.page.get_by_text("Temperature", exact=False)).to_have_count(0)
    button(voter.page, "This one is the best").first.click()
    expect(voter.page.get_by_text("Your vote")).to_be_visible()
    expect(voter.page.get_by_text("Temperature 0.", exact=False)).to_have_count(2)
    expect(button(voter.page, "This one is the best")).to_have_count(0)
    voter.page.goto(link)
    expect(voter.page.get_by_text("Your vote")).to_be_visible()
    expect(button(voter.page, "This one is the best")).to_have_count(0)

    author.page.reload()
    expect(author.page.get_by_text(re.compile(r"Votes: Settings [AB]: 1$"))).to_be_visible()
    button(author.page, "Withdraw").click()
    expect(button(author.page, "Withdraw")).to_have_count(0)
    voter.page.reload()
    expect(voter.page.get_by_role("heading", name="There is nothing here")).to_be_visible()
