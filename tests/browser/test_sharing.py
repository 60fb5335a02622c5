"""Sharing, files and one's own data, as readers handle them in a browser."""

import json
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import update

from components.store.database import Database
from components.store.schema import shares
from tests.access.conftest import LOCKED, VISITOR_CODE
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.browser.test_sign_in import enter
from tests.server import running_server


class Readers:
    """Opens browsers on a server that lets nobody in without a code; each is another reader."""

    def __init__(self, new_browser: NewBrowser, url: str, folder: Path) -> None:
        self._new_browser = new_browser
        self.url = url
        self.folder = folder

    def stranger(self, address: str, **options: Any) -> ChatPage:
        chat = ChatPage(self._new_browser(**options).new_page(), self.url)
        chat.page.goto(address if address.startswith("http") else self.url + address)
        return chat

    def visitor(self, query: str = "", **options: Any) -> ChatPage:
        chat = self.stranger(f"/?code={VISITOR_CODE}{query}", **options)
        chat.input.wait_for()
        return chat


@pytest.fixture(scope="module")
def sharing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("sharing")
    with running_server(folder / "server.log", LOCKED, "tests/browser/scripted_app.py", "/health") as url:
        yield url, folder


@pytest.fixture
def readers(new_browser: NewBrowser, sharing_server: tuple[str, Path]) -> Readers:
    return Readers(new_browser, *sharing_server)


def button(where: Page | Locator, name: str) -> Locator:
    return where.get_by_role("button", name=name, exact=True)


def dialog(chat: ChatPage) -> Locator:
    return chat.page.get_by_test_id("stDialog").get_by_role("dialog")


def close(chat: ChatPage) -> None:
    button(dialog(chat), "Close").click()
    expect(dialog(chat)).to_have_count(0)


def begin_anew(chat: ChatPage) -> None:
    button(chat.page, "New chat").click()
    expect(chat.bubbles).to_have_count(0)


def show_chats(chat: ChatPage) -> None:
    """Open the tab with the conversations, in either language."""
    chat.page.get_by_role("tab").nth(1).click()


def open_share(chat: ChatPage) -> Locator:
    show_chats(chat)
    button(chat.page, "This conversation").click()
    button(chat.page, "Share").click()
    expect(button(dialog(chat), "Make a link")).to_be_visible()
    expect(chat.page.get_by_text("Pin to the top")).to_be_hidden()  # the menu does not lie over the dialog
    return dialog(chat)


def share(chat: ChatPage, expiry: str | None = None) -> str:
    """Make a link; gives it, with the dialog closed."""
    opened = open_share(chat)
    if expiry:
        opened.get_by_role("radio", name=expiry).click()
    button(opened, "Make a link").click()
    link = opened.get_by_test_id("stCode").inner_text().strip()
    expect(opened.get_by_role("img", name="QR code of the link")).to_be_visible()
    close(chat)
    return link


def open_my_data(chat: ChatPage, name: str = "My data") -> Locator:
    show_chats(chat)
    button(chat.page, name).click()
    expect(dialog(chat).get_by_test_id("stFileUploader")).to_be_visible()
    return dialog(chat)


def bring_in(chat: ChatPage, file: Path | dict[str, Any], name: str = "My data") -> None:
    opened = open_my_data(chat, name)
    opened.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def download(chat: ChatPage, where: Page | Locator, name: str, target: Path) -> str:
    """Press the button and save what it gives; returns the name that the file would have."""
    with chat.page.expect_download() as started:
        button(where, name).click()
    started.value.save_as(target)
    return started.value.suggested_filename


def json_file(value: Any, name: str = "a.json") -> dict[str, Any]:
    return {"name": name, "mimeType": "application/json", "buffer": json.dumps(value).encode()}


def test_whoever_has_the_link_reads_it_and_nothing_else(readers: Readers) -> None:
    author = readers.visitor()
    author.ask("a private matter")
    begin_anew(author)
    author.ask("rich")
    link = share(author)
    assert re.fullmatch(re.escape(readers.url) + r"/s/[\w-]{22}", link)

    stranger = readers.stranger(link)

    expect(stranger.page.get_by_role("heading", name="Sorting, briefly")).to_be_visible()
    expect(stranger.page.locator("math").first).to_be_visible()
    expect(stranger.page.get_by_text("a private matter")).to_have_count(0)
    assert stranger.page.context.cookies() == []
    for path in ("/", "/?c=x", "/operations", f"/?copy={link.rpartition('/')[2]}"):
        stranger.page.goto(readers.url + path)
        expect(stranger.page.get_by_label("Access code")).to_be_visible()


def test_it_goes_on_as_a_copy_once_somebody_is_let_in_and_says_so(readers: Readers) -> None:
    author = readers.visitor()
    author.ask("the beginning")
    link = share(author)
    other = readers.stranger(link)

    other.page.get_by_role("link", name="Continue it as a copy").click()
    enter(other.page, VISITOR_CODE)
    expect(other.page.get_by_role("heading", name="Go on with a shared conversation?")).to_be_visible()
    other.page.reload()
    expect(button(other.page, "Copy it")).to_be_visible()
    show_chats(other)
    expect(other.page.get_by_role("button", name="the beginning")).to_have_count(0)  # asking alone copies nothing
    button(other.page, "Copy it").click()

    expect(other.bubbles.last).to_contain_text("You said: the beginning")
    expect(other.page).to_have_url(re.compile(r"\?c="))
    assert "copy=" not in other.page.url
    other.ask("and on")
    author.page.reload()
    expect(author.bubbles).to_have_count(2)


def test_who_does_not_want_the_copy_gets_their_own_chat(readers: Readers) -> None:
    author = readers.visitor()
    author.ask("not for everybody")
    share_id = share(author).rpartition("/")[2]

    author.page.goto(f"{readers.url}/?copy={share_id}")
    button(author.page, "No, to my own chat").click()

    expect(author.input).to_be_visible()
    assert "copy=" not in author.page.url
    show_chats(author)
    expect(author.page.get_by_role("button", name="not for everybody")).to_have_count(1)


def test_a_link_that_was_withdrawn_leads_nowhere(readers: Readers) -> None:
    author = readers.visitor()
    author.ask("to be withdrawn")
    link = share(author)
    stranger = readers.stranger(link)
    expect(stranger.page.get_by_text("to be withdrawn").first).to_be_visible()

    opened = open_share(author)
    button(opened, "Withdraw").click()
    expect(button(opened, "Withdraw")).to_have_count(0)

    stranger.page.reload()
    expect(stranger.page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_a_link_ends_when_its_time_has_come(readers: Readers) -> None:
    author = readers.visitor()
    author.ask("for a day")
    link = share(author, "for a day")
    database = Database(f"sqlite:///{readers.folder / 'chats.db'}")
    with database.writing() as connection:
        ended = update(shares).where(shares.c.id == link.rpartition("/")[2], shares.c.expires > time.time() + 80_000)
        assert connection.execute(ended.values(expires=time.time() - 1)).rowcount == 1
    database.close()

    stranger = readers.stranger(link, locale="zh-CN")

    expect(stranger.page.get_by_role("heading", name="这里什么也没有")).to_be_visible()
    opened = open_share(author)
    expect(button(opened, "Withdraw")).to_have_count(0)


def test_a_reply_that_is_being_written_can_be_shared_and_goes_on(readers: Readers) -> None:
    author = readers.visitor()
    author.type("slow and long")
    expect(author.reply).to_contain_text("word3")
    link = share(author)
    expect(author.stop).to_be_visible()
    shown = int(re.findall(r"word(\d+)", author.reply.inner_text())[-1])
    expect(author.reply).to_contain_text(f"word{shown + 5}")

    stranger = readers.stranger(link)

    expect(stranger.page.get_by_text("word3").first).to_be_visible()
    author.stop.click()
    author.wait_for_end()


def test_anothers_conversation_is_not_found(readers: Readers) -> None:
    author, other = readers.visitor(), readers.visitor()
    author.ask("mine alone")
    expect(author.page).to_have_url(re.compile(r"\?c="))
    other.page.goto(author.page.url)
    expect(other.page.get_by_text("There is no such conversation here")).to_be_visible()
    expect(other.page.get_by_text("mine alone")).to_have_count(0)


def test_what_is_downloaded_comes_back_in_another_browser(readers: Readers, tmp_path: Path) -> None:
    author = readers.visitor()
    author.ask("first **question**")
    author.ask("second question")
    assert (
        download(author, open_my_data(author), "Download all conversations and presets", tmp_path / "a.zip")
        == "all-conversations.zip"
    )
    close(author)

    other = readers.visitor()
    bring_in(other, tmp_path / "a.zip")

    expect(other.page.get_by_text("Conversations brought in: 1")).to_be_visible()
    expect(dialog(other)).to_have_count(0)
    expect(other.bubbles).to_have_count(4)
    expect(other.bubbles.last).to_contain_text("You said: second question")
    download(other, open_my_data(other), "Download all conversations and presets", tmp_path / "b.zip")
    kept, back = (
        json.loads(zipfile.ZipFile(tmp_path / name).read("conversations-001.json")) for name in ("a.zip", "b.zip")
    )
    for one in (*kept["conversations"], *back["conversations"]):
        del one["changed"]
    assert kept == back


def test_a_conversation_is_downloaded_for_people_and_to_keep(readers: Readers, tmp_path: Path) -> None:
    author = readers.visitor()
    author.ask("为什么/why?")
    show_chats(author)
    button(author.page, "This conversation").click()
    assert download(author, author.page, "Download as Markdown", tmp_path / "a.md") == "为什么 why.md"
    assert "## User\n\n为什么/why?\n\n## Assistant\n\nYou said: 为什么/why?\n" in (tmp_path / "a.md").read_text()
    assert download(author, author.page, "Download as JSON", tmp_path / "a.json") == "为什么 why.json"
    assert json.loads((tmp_path / "a.json").read_text())["conversations"][0]["title"] == "为什么/why?"


def test_chatgpts_export_comes_in(readers: Readers) -> None:
    def node(parent: str | None, role: str, text: str) -> dict[str, Any]:
        return {"parent": parent, "message": {"author": {"role": role}, "content": {"parts": [text]}}}

    tree = {"a": node(None, "user", "Why is the sky blue?"), "b": node("a", "assistant", "It **scatters**.")}
    reader = readers.visitor()
    bring_in(reader, json_file([{"title": "The sky", "mapping": tree, "current_node": "b"}], "conversations.json"))
    expect(reader.bubbles.last).to_contain_text("It scatters.")
    show_chats(reader)
    expect(button(reader.page, "The sky")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "name", "says", "what"),
    [
        (
            "en-US",
            "My data",
            "The file cannot be brought in. Nothing was changed.",
            "conversation 1, messages[0].role: It is not known who speaks here.",
        ),
        (
            "zh-CN",
            "我的数据",
            "无法导入此文件，没有任何改动。",
            "第 1 个对话, messages[0].role: 不知道这里是谁在说话。",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_words(
    readers: Readers, locale: str, name: str, says: str, what: str
) -> None:
    reader = readers.visitor(locale=locale)
    bring_in(reader, json_file([{"messages": [{"role": "dog", "content": "woof"}]}]), name)
    expect(dialog(reader)).to_contain_text(says)
    expect(dialog(reader)).to_contain_text(what)
    expect(reader.bubbles).to_have_count(0)


def test_what_cannot_be_read_of_a_file_is_told_and_the_rest_comes_in(readers: Readers) -> None:
    reader = readers.visitor(locale="zh-CN")
    good = {"messages": [{"role": "user", "content": "你好"}]}
    bring_in(reader, json_file([good, {"messages": 5}, good]), "我的数据")
    toast = reader.page.get_by_test_id("stToast")
    expect(toast).to_contain_text("已导入 2 个对话")
    expect(toast).to_contain_text("有 1 项无法读取。第 2 个对话, messages: 这里应当是列表。")
    expect(reader.bubbles).to_have_count(1)


def test_everything_is_deleted_by_a_second_click(readers: Readers) -> None:
    author = readers.visitor()
    author.ask("to be shared")
    link = share(author)
    begin_anew(author)
    author.type("slow and long")
    expect(author.reply).to_contain_text("word2")

    opened = open_my_data(author)
    button(opened, "Delete everything").click()
    button(opened, "Cancel").click()
    expect(button(opened, "Delete everything")).to_be_visible()
    button(opened, "Delete everything").click()
    button(opened, "Yes, delete everything").click()

    expect(author.page.get_by_text("Everything was deleted.")).to_be_visible()
    expect(author.bubbles).to_have_count(0)
    expect(button(author.page, "to be shared")).to_have_count(0)
    author.wait_until(lambda: author.was_cancelled("slow and long"), "the reply is not stopped")
    author.page.reload()
    author.input.wait_for()
    expect(button(author.page, "to be shared")).to_have_count(0)
    assert readers.stranger(link).page.get_by_role("heading", name="There is nothing here").is_visible()
    author.ask("anew")


def test_what_is_shared_becomes_a_folder_that_needs_no_network(readers: Readers, tmp_path: Path) -> None:
    author = readers.visitor()
    author.ask("rich")
    share(author)
    download(author, open_my_data(author), "Download what I share as web pages", tmp_path / "site.zip")
    with zipfile.ZipFile(tmp_path / "site.zip") as packed:
        packed.extractall(tmp_path / "site")

    browser = author.page.context.browser
    assert browser is not None
    offline = browser.new_context(offline=True)
    page = offline.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.get_by_role("link", name="rich").click()
    expect(page.get_by_role("heading", name="Sorting, briefly")).to_be_visible()
    expect(page.locator("math").first).to_be_visible()
    expect(page.locator("pre span").first).to_be_visible()
    page.get_by_role("link", name="All conversations").click()
    expect(page).to_have_url(re.compile(r"index\.html$"))
    assert not complaints
    offline.close()
