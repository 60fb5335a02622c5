"""The conversations in the sidebar."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from components.chats.replies import Replies
from components.ui.texts import EN
from tests.chats.helpers import wait_until


def ask(page: AppTest, question: str) -> AppTest:
    page.chat_input(key="question").set_value(question).run()
    assert not page.exception
    return page


def listed(page: AppTest) -> list[str]:
    return [button.label for button in page.sidebar.button if str(button.key).startswith("chat_")]


def two(page: AppTest) -> AppTest:
    """Two conversations, the second one shown."""
    ask(page, "first one")
    page.button(key="new_chat").click().run()
    return ask(page, "second one")


def bubbles(page: AppTest) -> list[str]:
    return [bubble.text[0].value for bubble in page.chat_message if bubble.text]


def test_the_newest_comes_first_as_soon_as_it_is_asked(page: AppTest) -> None:
    assert not listed(page)
    assert listed(two(page)) == ["second one", "first one"]


def test_an_older_one_is_opened_and_named_in_the_address(page: AppTest) -> None:
    two(page)
    first = next(button for button in page.sidebar.button if button.label == "first one")
    first.click().run()
    assert bubbles(page) == ["first one"]
    assert f"chat_{page.query_params['c']}" == first.key


def test_settings_come_back_with_the_conversation(page: AppTest) -> None:
    page.slider(key="temperature").set_value(0.9)
    page.text_area(key="system").set_value("Be brief.")
    ask(page, "first one")
    page.button(key="new_chat").click().run()
    page.slider(key="temperature").set_value(0.1)
    page.text_area(key="system").set_value("")
    ask(page, "second one")
    next(button for button in page.sidebar.button if button.label == "first one").click().run()
    assert page.slider(key="temperature").value == 0.9
    assert page.text_area(key="system").value == "Be brief."


def test_a_title_is_changed_and_pinned(page: AppTest) -> None:
    ask(page, "first one")
    title = next(field for field in page.sidebar.text_input if str(field.key).startswith("title_"))
    title.set_value("*My*  title").run()
    page.button(key="pin_chat").click().run()
    assert listed(page) == [r"\*My\* title"]
    page.button(key="new_chat").click().run()
    ask(page, "second one")
    assert listed(page) == [r"\*My\* title", "second one"]
    assert EN.pinned in [caption.value for caption in page.sidebar.caption]


@pytest.mark.parametrize(
    ("title", "label"),
    [
        ("see &amp; hear", r"see \&amp; hear"),
        (":material/home: sweet home", r"\::color[]{}material/home: sweet home"),
        ("a -> b", r"a \-:color[]{}\> b"),
        ("1. one", r"1\. one"),
    ],
)
def test_a_title_is_shown_as_it_is_written(page: AppTest, title: str, label: str) -> None:
    ask(page, title)
    assert listed(page) == [label]


def test_what_was_deleted_comes_back(page: AppTest) -> None:
    two(page)
    page.button(key="delete_chat").click().run()
    assert listed(page) == ["first one"]
    assert not bubbles(page)
    page.button(key="undo_delete").click().run()
    assert bubbles(page) == ["second one"]
    assert listed(page) == ["second one", "first one"]


@pytest.mark.parametrize("words", ["SECOND", "ond o", "said: second"])
def test_a_part_of_any_text_finds_it(page: AppTest, replies: Replies, words: str) -> None:
    two(page)
    wait_until(lambda: all(replies.is_kept(message) for message in list(replies._running)))
    page.text_input(key="search").set_value(words).run()
    assert [button.label for button in page.sidebar.button if str(button.key).startswith("found_")] == ["second one"]
    page.button(key="found_0").click().run()
    assert bubbles(page) == ["second one"]


def test_nothing_found_is_said(page: AppTest) -> None:
    two(page)
    page.text_input(key="search").set_value("不存在").run()
    assert EN.nothing_found in [caption.value for caption in page.sidebar.caption]


def test_a_conversation_of_somebody_else_is_not_found(page: AppTest, open_another: Callable[[], AppTest]) -> None:
    ask(page, "first one")
    other = open_another()
    other.query_params["c"] = page.query_params["c"]
    other.run()
    assert other.warning[0].value == EN.not_found
    assert not other.chat_message
    assert not other.chat_input


def test_who_has_no_cookie_shares_nothing_with_others_behind_the_same_address(
    page: AppTest, open_another: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.ui.reader._address", lambda: "192.0.2.9")
    page.button(key="new_chat").click().run()
    ask(page, "first one")
    other = ask(open_another().run(), "second one")
    assert listed(other) == ["second one"]
    assert listed(page.run()) == ["first one"]


@pytest.mark.parametrize(("typed", "title"), [("   ", "first one"), ("", "first one"), ("  an   other ", "an other")])
def test_the_title_that_a_conversation_has_stands_in_its_field(page: AppTest, typed: str, title: str) -> None:
    ask(page, "first one")
    field = next(field for field in page.sidebar.text_input if str(field.key).startswith("title_"))
    field.set_value(typed).run()
    assert page.sidebar.text_input(key=str(field.key)).value == title
    assert listed(page) == [title]
