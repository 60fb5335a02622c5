"""The page over a Baichuan 2 checkpoint."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.server import running_server
from tests.tiny import CHATS, TINY_PATH


def test_a_baichuan_checkpoint_answers_with_the_reference_text(new_browser: NewBrowser, tmp_path: Path) -> None:
    chat_of_one = next(chat for chat in CHATS if len(chat["messages"]) == 1)
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DTYPE": "float32"}
    with running_server(tmp_path / "server.log", env) as url:
        chat = ChatPage(new_browser().new_page(), url)
        chat.open("/?temperature=0&repetition_penalty=1&max_new_tokens=32")
        chat.ask(chat_of_one["messages"][0]["content"])

        shown = "".join(chat.reply.locator("p").first.inner_text().split())
        assert "".join(chat_of_one["greedy_text"].split())[:12] in shown
        expect(chat.page.get_by_text("small demo model")).to_have_count(0)
        expect(chat.page.get_by_text("baichuan2-7b-tiny")).to_be_visible()
