"""The view of a reply's tokens, as the page hands it over and takes what comes back from it."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from components.engine.events import ChosenToken, Delta, TokenLogprob
from components.engine.interface import GenerationRequest
from components.sampling.parameters import SamplingParams
from components.ui.chat.inside import _Branch, _Question
from components.ui.texts import EN
from tests.scripted_engine import ScriptedEngine


def with_log_probabilities(_: GenerationRequest) -> Iterable[Delta]:
    """As another server tells them: by text, without ids."""
    for text in ("Hi", "!"):
        top = (TokenLogprob(text.encode(), -0.25), TokenLogprob(b"?", -2.0))
        yield Delta(text, 1, (ChosenToken(text.encode(), -0.25, top),))


def open_inside(page: AppTest) -> AppTest:
    page.chat_input(key="question").set_value("hello").run()
    next(button for button in page.button if button.label == EN.inside.open or button.help == EN.inside.open).click()
    page.run()
    assert not page.exception
    return page


def headers(page: AppTest) -> list[dict[str, Any]]:
    """What stands at the beginning of what the views on the page are sent."""
    sent = [element.proto.bytes for element in page.get("bidi_component")]
    return [json.loads(one[4 : 4 + int.from_bytes(one[:4], "little")]) for one in sent]


def test_of_a_reply_without_scores_it_is_said_that_there_are_none(page: AppTest) -> None:
    open_inside(page)
    assert EN.inside.nothing in [info.value for info in page.info]
    assert any("by another server that told none" in caption.value for caption in page.caption)
    assert not headers(page)


def test_of_another_servers_reply_the_view_says_what_it_cannot_do(page: AppTest, engine: ScriptedEngine) -> None:
    engine.script = with_log_probabilities
    page.slider(key="repetition_penalty").set_value(1.3).run()
    (header,) = headers(open_inside(page))
    assert header["normalized"]
    assert not header["canBranch"]
    assert not header["canAsk"]
    problems = {slider["name"]: slider["problem"] for slider in header["sliders"]}
    assert problems.pop("repetition_penalty") == EN.inside.needs_logits
    assert not any(problems.values())
    assert header["settings"]["repetition_penalty"] == 1.0, "what log probabilities would become by it, nobody knows"


@pytest.mark.parametrize(
    "sent",
    [
        {"place": -1, "rank": 0, "settings": {}},
        {"place": 0, "rank": "0", "settings": {}},
        {"place": 0, "rank": 0, "settings": {"temperature": "hot"}},
        {"place": 0, "rank": 0, "settings": [], "more": 1},
        None,
    ],
)
def test_what_no_view_sends_is_refused(sent: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        _Branch.model_validate(sent)


def test_settings_that_there_are_not_are_refused() -> None:
    asked = _Question.model_validate({"places": [1], "settings": {"temperature": -1, "max_new_tokens": 10**9}})
    with pytest.raises(ValueError, match="temperature"):
        asked.changes(SamplingParams())
    asked = _Question.model_validate({"places": [1], "settings": {"top_p": 0.5, "max_new_tokens": 10**9}})
    assert asked.changes(SamplingParams()) == {"top_p": 0.5}, "the view has no slider for the rest"
