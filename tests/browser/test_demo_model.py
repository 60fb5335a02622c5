"""The whole application with a real, small model."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.server import running_server


@pytest.fixture(scope="module")
def demo_server(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("demo") / "server.log"
    with running_server(log, {"BAICHUAN_MODEL": str(demo_model)}) as url:
        yield url


@pytest.fixture
def chat(new_browser: NewBrowser, demo_server: str) -> ChatPage:
    """A reader whose settings give the same reply every time."""
    chat = ChatPage(new_browser(viewport={"width": 1280, "height": 900}).new_page(), demo_server)
    chat.open("/?temperature=0&max_new_tokens=48")
    return chat


def context_used(chat: ChatPage) -> int:
    match = re.search(r"context ([\d,]+) of", chat.reply.inner_text())
    assert match
    return int(match[1].replace(",", ""))


def tokens(chat: ChatPage) -> int:
    match = re.search(r"· (\d+) tokens", chat.reply.inner_text())
    assert match
    return int(match[1])


def test_a_demo_model_says_that_it_is_one(chat: ChatPage) -> None:
    expect(chat.page.get_by_text("This is a small demo model")).to_be_visible()
    expect(chat.page.get_by_text("python download.py")).to_be_visible()


def test_a_question_is_answered_and_the_next_one_builds_on_it(chat: ChatPage) -> None:
    chat.ask("What is the capital of France?")
    expect(chat.reply).to_contain_text("Paris")
    first = context_used(chat)
    chat.ask("What is that city famous for?")
    expect(chat.reply).to_contain_text("Paris")
    assert context_used(chat) > first + 10
    chat.shoot("demo")


def test_the_longest_reply_is_kept_to(chat: ChatPage) -> None:
    chat.set_slider("Longest reply", "16")
    chat.ask("Tell me a long story about a river.")
    assert tokens(chat) == 16
    expect(chat.reply).to_contain_text("cut off at the longest reply")
    chat.resume.click()
    expect(chat.stop).to_have_count(0)
    expect(chat.regenerate).to_be_visible()


def test_a_stopped_reply_frees_the_model(chat: ChatPage) -> None:
    chat.set_slider("Longest reply", "512")
    chat.type("Write a long essay about the history of Rome.")
    expect(chat.reply.locator("p").first).not_to_have_text(re.compile("Thinking"))
    chat.stop.click()
    expect(chat.reply).to_contain_text("stopped")
    chat.ask("What is the capital of France?")
    expect(chat.reply).to_contain_text("Paris")
