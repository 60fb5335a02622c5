"""Replies as they are written: streaming, stopping, and what may happen meanwhile."""

import contextlib
import re

from playwright.sync_api import WebSocket, WebSocketRoute, expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import PageFactory


def length(chat: ChatPage) -> int:
    return len(chat.reply.inner_text())


def wait_for_growth(chat: ChatPage) -> None:
    """Wait until there is more text than now."""
    chat.page.wait_for_function(
        "before => [...document.querySelectorAll('[data-testid=stChatMessage]')].at(-1).innerText.length > before",
        arg=length(chat) + 20,
    )


def test_text_grows_while_it_is_written(chat: ChatPage) -> None:
    chat.type("slow")
    expect(chat.reply).to_contain_text("word3")
    wait_for_growth(chat)
    expect(chat.stop).to_be_visible()
    chat.shoot("streaming")


def test_stop_keeps_the_text_and_stops_the_engine(chat: ChatPage) -> None:
    chat.type("slow stop")
    expect(chat.reply).to_contain_text("word5")
    chat.stop.click()
    expect(chat.regenerate).to_be_visible()
    expect(chat.stop).to_have_count(0)
    expect(chat.reply).to_contain_text("stopped")
    expect(chat.reply).to_contain_text("word5")
    assert chat.was_cancelled("slow stop")
    chat.shoot("stopped")
    chat.ask("hello again")
    expect(chat.reply).to_contain_text("You said: hello again")


def test_a_stopped_reply_can_be_continued(chat: ChatPage) -> None:
    chat.type("slow")
    expect(chat.reply).to_contain_text("word5")
    chat.stop.click()
    chat.resume.click()
    expect(chat.stop).to_be_visible()
    expect(chat.reply).to_contain_text("word5")
    wait_for_growth(chat)


def test_regenerate_shows_nothing_of_the_old_reply(chat: ChatPage) -> None:
    chat.type("slow")
    expect(chat.reply).to_contain_text("word40")
    chat.stop.click()
    chat.regenerate.click()
    expect(chat.stop).to_be_visible()
    expect(chat.reply).not_to_contain_text("word40")
    expect(chat.reply).not_to_contain_text("stopped")
    expect(chat.reply).to_contain_text("word3")
    expect(chat.bubbles).to_have_count(2)


def test_changing_the_language_does_not_disturb_a_reply(chat: ChatPage) -> None:
    chat.type("slow language")
    expect(chat.reply).to_contain_text("word5")
    chat.page.get_by_test_id("stSidebar").get_by_text("中文").click()
    expect(chat.page.get_by_role("button", name="停止")).to_be_visible()
    expect(chat.reply).to_contain_text("word5")
    wait_for_growth(chat)
    assert not chat.was_cancelled("slow language")
    expect(chat.page).to_have_url(re.compile("lang=zh"))


def test_moving_sliders_does_not_disturb_a_reply(chat: ChatPage) -> None:
    chat.type("slow sliders")
    expect(chat.reply).to_contain_text("word5")
    chat.set_slider("Temperature", "0.5")
    chat.set_slider("Longest reply", "48")
    expect(chat.reply).to_contain_text("word5 ")
    wait_for_growth(chat)
    assert not chat.was_cancelled("slow sliders")


def test_the_next_question_uses_what_the_sliders_show(chat: ChatPage) -> None:
    chat.set_slider("Temperature", "0.5")
    chat.set_slider("Top k", "7")
    chat.ask("settings")
    expect(chat.reply).to_contain_text('"temperature":0.5')
    expect(chat.reply).to_contain_text('"top_k":7')
    chat.page.get_by_role("button", name="Reset to defaults").click()
    expect(chat.slider("Temperature")).to_have_value("0.3")
    expect(chat.slider("Top k")).to_have_value("5")
    chat.ask("settings")
    expect(chat.reply).to_contain_text('"temperature":0.3')
    expect(chat.reply).to_contain_text('"top_k":5')


def test_settings_come_from_the_link(open_page: PageFactory) -> None:
    chat = open_page("/?temperature=1.2&lang=zh")
    chat.ask("settings")
    expect(chat.reply).to_contain_text('"temperature":1.2')


def test_a_new_question_takes_the_place_of_a_reply_still_written(chat: ChatPage) -> None:
    chat.type("slow")
    expect(chat.reply).to_contain_text("word5")
    chat.type("hello")
    expect(chat.reply).to_contain_text("You said: hello")
    expect(chat.bubbles.nth(1)).to_contain_text("stopped")


def test_a_reload_finds_the_reply_growing_on(chat: ChatPage) -> None:
    chat.type("slow reload")
    expect(chat.reply).to_contain_text("word5 ")
    chat.page.reload()
    expect(chat.reply).to_contain_text("word5 ")
    expect(chat.bubbles.first).to_contain_text("slow reload")
    expect(chat.stop).to_be_visible()
    wait_for_growth(chat)
    assert not chat.was_cancelled("slow reload")


def test_a_closed_tab_does_not_stop_the_reply(open_page: PageFactory, chat: ChatPage) -> None:
    other = open_page()
    other.type("slow tab")
    expect(other.reply).to_contain_text("word5 ")
    address = other.page.url
    other.page.close()
    chat.page.goto(address)
    expect(chat.reply).to_contain_text("word5 ")
    wait_for_growth(chat)
    assert not chat.was_cancelled("slow tab")


def test_a_second_tab_stops_the_reply(open_page: PageFactory, chat: ChatPage) -> None:
    chat.type("slow two")
    expect(chat.reply).to_contain_text("word5 ")
    other = open_page(chat.page.url.removeprefix(chat.url))
    expect(other.reply).to_contain_text("word5 ")
    other.stop.click()
    for one in (other, chat):
        expect(one.reply).to_contain_text("stopped")
        expect(one.regenerate).to_be_visible()


def test_a_lost_connection_that_comes_back_does_not_lose_the_reply(chat: ChatPage) -> None:
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    chat.page.route_web_socket(re.compile("_stcore/stream"), pass_on)
    chat.open()
    chat.type("slow connection")
    expect(chat.reply).to_contain_text("word5 ")
    sockets[0].close()
    chat.wait_until(lambda: len(sockets) == 2, "the page does not connect again")
    wait_for_growth(chat)
    expect(chat.reply).to_contain_text("word5 ")
    expect(chat.stop).to_be_visible()
    assert not chat.was_cancelled("slow connection")


def test_waiting_in_line_is_shown(chat: ChatPage) -> None:
    chat.type("wait")
    expect(chat.reply).to_contain_text("2 before you")
    chat.shoot("waiting")
    chat.call("/test/go_on")
    expect(chat.reply).to_contain_text("1 before you")
    chat.call("/test/go_on")
    expect(chat.reply).to_contain_text("My turn.")
    expect(chat.reply).not_to_contain_text("before you")


def test_an_error_keeps_the_question_and_offers_another_try(chat: ChatPage) -> None:
    chat.ask("fail please")
    expect(chat.bubbles.first).to_contain_text("fail please")
    expect(chat.reply).to_contain_text("Half of")
    expect(chat.reply).to_contain_text("did not work out")
    expect(chat.reply.get_by_role("button", name="Try again")).to_be_visible()
    chat.shoot("error")


def test_the_view_follows_the_reply(chat: ChatPage) -> None:
    # On a busy machine Streamlit sometimes takes a late layout for a reader who scrolls, and lets the view be.
    followed = 0
    for _ in range(5):
        chat.ask("long")
        with contextlib.suppress(AssertionError):
            expect(chat.reply.get_by_text("The end.")).to_be_in_viewport(timeout=10_000)
            followed += 1
        if followed == 2:
            return
    raise AssertionError(f"the view followed {followed} of 5 replies")


def test_the_view_stays_where_the_reader_scrolled_up_to(chat: ChatPage) -> None:
    # Streamlit sometimes overlooks that a reader scrolls while lines come, so a reader may have to try again.
    stayed = False
    for attempt in range(1, 6):
        chat.type("lines")
        expect(chat.bubbles).to_have_count(2 * attempt)
        expect(chat.reply).to_contain_text("Line 25 ")
        chat.page.mouse.move(800, 300)
        for _ in range(8):
            chat.page.mouse.wheel(0, -150)
            chat.page.wait_for_timeout(150)
        chat.wait_for_end()
        end = chat.reply.get_by_text("The end.").bounding_box()
        assert end
        if stayed := end["y"] > 800:
            break
    assert stayed, "the end of the reply came into view every time"


def test_a_long_reply_costs_few_bytes(open_page: PageFactory) -> None:
    chat = open_page("/", viewport={"width": 900, "height": 700})
    chat.input.wait_for()
    received = 0

    def count(socket: WebSocket) -> None:
        def add(payload: str | bytes) -> None:
            nonlocal received
            received += len(payload)

        socket.on("framereceived", add)

    chat.page.on("websocket", count)
    chat.page.reload()
    chat.input.wait_for()
    for question in ("long", "code"):
        received = 0
        chat.ask(question)
        text = length(chat)
        print(question, text, received)
        assert received < 60 * text
    chat.shoot("long-code")
