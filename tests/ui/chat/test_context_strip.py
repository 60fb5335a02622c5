"""What the reader is told of what the model sees, and can change about it."""

from typing import NoReturn

import pytest
from streamlit.testing.v1 import AppTest

from components.engine.errors import EngineNotReadyError, UnsupportedError
from components.engine.host import Ready
from components.sampling.parameters import SamplingParams
from tests.scripted_engine import ScriptedEngine
from tests.ui.conftest import OpenPage, StillHost


@pytest.fixture
def page(open_page: OpenPage, engine: ScriptedEngine) -> AppTest:
    """A model with room for little."""
    engine.with_info(context_length=240, defaults=SamplingParams(max_new_tokens=160))
    return open_page(StillHost(Ready(engine, 1.0))).run()


def ask(page: AppTest, *questions: str) -> AppTest:
    for question in questions:
        page.chat_input(key="question").set_value(question).run()
        assert not page.exception
    return page


def strip(page: AppTest) -> str:
    """The strip's words."""
    return next(expander.label for expander in page.expander if "The model sees" in expander.label)


def open_strip(page: AppTest) -> AppTest:
    page.session_state["context"] = True
    return page.run()


def test_there_is_nothing_to_say_before_the_first_question(page: AppTest) -> None:
    assert not [expander for expander in page.expander if "The model sees" in expander.label]


def test_turns_and_tokens_are_counted(page: AppTest) -> None:
    ask(page, "12345")
    # 5 characters asked, 15 answered, and a stand-in for what comes.
    assert strip(page) == "The model sees 1 of 1 turns · 21 of 240 tokens"
    ask(page, "a question that takes quite some room")
    assert strip(page).startswith("The model sees 0 of 2 turns")


def test_a_count_that_is_a_guess_says_so(
    page: AppTest, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tokenize(_: object) -> list[int]:
        raise UnsupportedError("not here")

    monkeypatch.setattr(engine, "tokenize", tokenize)
    open_strip(ask(page, "12345"))
    assert "· ≈ " in strip(page)
    assert all("≈" in caption.value for caption in page.caption if caption.value.startswith(("Seen", "Room")))


def test_a_page_is_drawn_while_the_server_that_counts_is_away(
    page: AppTest, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> NoReturn:
        raise EngineNotReadyError("It is being started again.")

    ask(page, "12345")
    counted = strip(page)
    with monkeypatch.context() as down:
        for name in ("build_prompt", "tokenize"):
            down.setattr(engine, name, away)
        down.setattr(ScriptedEngine, "failure", "It is being started again.")
        open_strip(page)
        page.text_area(key="system").set_value("Be brief.").run()
        assert not page.exception
        assert "· ≈ " in strip(page)

        ask(page, "67890")
        shown = [element.value for bubble in page.chat_message for element in bubble.text]
        assert shown == ["12345", "67890"]
        assert "It is being started again." in [caption.value for caption in page.caption]

    page.text_area(key="system").set_value("").run()
    assert counted == "The model sees 1 of 1 turns · 21 of 240 tokens"
    assert "≈" not in strip(page)
    assert not [
        caption for caption in page.caption if caption.value.startswith(("Seen", "Room")) and "≈" in caption.value
    ]
    page.button(key="regenerate").click().run()
    assert [message["content"] for message in engine.requests[-1].messages][-1] == "67890"
    assert not page.exception


def test_a_pinned_turn_is_seen_and_one_left_out_is_not(page: AppTest, engine: ScriptedEngine) -> None:
    open_strip(ask(page, "one", "two"))
    pins = [str(button.key) for button in page.button if str(button.key).startswith("icon_visibility_off_")]
    page.button(key=pins[0]).click().run()  # the newest turn stands first
    ask(page, "x")
    assert [message["content"] for message in engine.requests[-1].messages] == ["one", "You said: one", "x"]
    open_strip(page).button(key=pins[0]).click().run()
    open_strip(page).button(key=pins[1].replace("icon_visibility_off_", "icon_keep_")).click().run()
    ask(page, "a question that takes much room, so much")
    assert engine.requests[-1].messages[0]["content"] == "one"


def test_the_strip_stays_as_it_was_left_while_what_it_says_changes(page: AppTest) -> None:
    open_strip(ask(page, "one", "two"))
    before = strip(page)
    for turn in ("two", "one"):
        buttons = [button for button in page.button if str(button.key).startswith("icon_visibility_off_")]
        buttons[0 if turn == "two" else 1].click().run()
        assert [text.value for text in page.text if text.value == turn][-1:] == [turn]
        assert any(str(button.key).startswith("icon_visibility_off_") for button in page.button)
    assert strip(page) != before


def test_turns_from_before_the_page_are_counted(open_page: OpenPage, engine: ScriptedEngine) -> None:
    page = open_page(StillHost(Ready(engine, 1.0))).run()
    ask(page, *map(str, range(18)))
    captions = [caption.value for caption in open_strip(page).caption]
    assert "Earlier turns, not listed here: 3 of 3 are seen." in captions
    page.button(key="earlier").click().run()
    assert not [caption for caption in open_strip(page).caption if caption.value.startswith("Earlier turns")]
