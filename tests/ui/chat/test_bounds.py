"""What a reader may write is bounded, and so is what is kept of it."""

import pytest
from streamlit.testing.v1 import AppTest

from components.access.identity import Identity
from components.settings import get_settings
from components.ui.texts.en import EN
from tests.scripted_engine import ScriptedEngine


def test_every_field_for_text_has_a_bound(page: AppTest) -> None:
    fields = [*page.chat_input, *page.text_area, *page.text_input]
    assert len(fields) == 2
    for field in fields:
        assert field.proto.max_chars == get_settings().max_question_chars


def test_a_question_is_cut_where_a_browser_would_not_have_let_it_grow(page: AppTest) -> None:
    page.chat_input[0].set_value("x" * (get_settings().max_question_chars + 5)).run()
    assert len(page.chat_message[0].text[0].value) == get_settings().max_question_chars


def test_a_visitors_questions_count_for_their_network_too(
    page: AppTest, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.ui.chat.opening.current_reader", lambda: Identity("visitor", "me", "192.0.2.9"))
    del page.session_state["chat"]
    page.chat_input[0].set_value("hello").run()
    asked = engine.requests[-1]
    assert (asked.visitor, asked.address, asked.limited) == ("visitor:me", "192.0.2.9", True)


def test_a_question_for_which_there_is_no_room_stands_in_the_input_again(
    page: AppTest, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.ui.chat.opening.current_reader", lambda: Identity("visitor", "me", "192.0.2.9"))
    small = get_settings().model_copy(update={"max_stored_chars": 4})
    monkeypatch.setattr("components.chats.room.get_settings", lambda: small)
    del page.session_state["chat"]
    page.chat_input[0].set_value("hello").run()
    assert not page.exception
    assert EN.full in [warning.value for warning in page.warning]
    assert page.chat_input[0].proto.value == "hello"
    assert not engine.requests
