"""The view of a reply's tokens, as the page hands it over and takes what comes back from it."""

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components.chats.replies import Replies
from components.engine.errors import EngineError
from components.engine.events import ChosenToken, Delta, TokenLogprob
from components.engine.host import Ready
from components.engine.interface import GenerationRequest, Piece
from components.engine.remote.connecting import connect
from components.model.chat_format import Message as Turn
from components.model.chat_format import Prompt
from components.paths import TOKEN_VIEW
from components.sampling.kept import KeptScores, StepScores
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from components.store.messages import Messages
from components.ui.chat.actions import LOOKED_INTO, Action
from components.ui.chat.inside import _ASKED, _Branch, _branch, _Inside, _Question
from components.ui.chat.opening import URL_NAME
from components.ui.texts import EN, ZH, Texts
from tests.engine.remote.openai_stub import OpenAIStub, running_stub
from tests.scripted_engine import ScriptedEngine
from tests.ui.chat.test_token_view import look
from tests.ui.conftest import OpenPage, StillHost


def with_log_probabilities(_: GenerationRequest) -> Iterable[Delta]:
    """As another server tells them: by text, without ids."""
    for text in ("Hi", "!"):
        top = (TokenLogprob(text.encode(), -0.25), TokenLogprob(b"?", -2.0))
        yield Delta(text, 1, (ChosenToken(text.encode(), -0.25, top),))


def open_inside(page: AppTest, texts: Texts = EN) -> AppTest:
    page.chat_input(key="question").set_value("hello").run()
    next(button for button in page.button if texts.inside.open in (button.label, button.help)).click()
    page.run()
    assert not page.exception
    return page


def sent(page: AppTest) -> list[bytes]:
    """What the views on the page are sent."""
    mounted = [element.proto for element in page.get("bidi_component")]
    return [proto.bytes for proto in mounted if proto.component_name == TOKEN_VIEW]


def headers(page: AppTest) -> list[dict[str, Any]]:
    """What stands at the beginning of it."""
    return [json.loads(one[4 : 4 + int.from_bytes(one[:4], "little")]) for one in sent(page)]


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


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with running_stub() as stub:
        stub.pieces = ["Hi", " there", "!"]
        yield stub


@pytest.fixture
def remote(stub: OpenAIStub, open_page: OpenPage) -> Iterator[AppTest]:
    """The page whose model runs on another server."""
    engine = connect(Settings(engine="openai", openai_base_url=stub.url), lambda _: None)
    yield open_page(StillHost(Ready(engine, 1.0)))
    engine.close()


def told(**other: object) -> Callable[[str], object]:
    """What a server tells of each token, with something else about it."""
    top = [{"token": "Hi", "logprob": -0.5}, {"token": "No", "logprob": -1.5}]

    def tell(piece: str) -> object:
        own = -0.5 if piece == "Hi" else -2.0
        return {"content": [{"token": piece, "logprob": own, "top_logprobs": top, **other}]}

    return tell


def told_of_some(piece: str) -> object:
    """Of each token something else."""
    logprobs = {"Hi": -0.25, " there": None, "!": -3.0}
    return {"content": [{"token": piece, "logprob": logprobs[piece], "top_logprobs": [] if piece == "Hi" else None}]}


OWN: list[float | None] = [math.exp(-0.5), math.exp(-2.0), math.exp(-2.0)]
IN_VIEW: dict[str, tuple[Callable[[str], object] | None, list[float | None]]] = {
    "all": (None, [math.exp(-0.5)] * 3),
    "some others": (told(), OWN),
    "top_logprobs: []": (told(top_logprobs=[]), OWN),
    "top_logprobs: null": (told(top_logprobs=None), OWN),
    "others without log probability": (told(top_logprobs=[{"token": "No"}]), OWN),
    "logprob: null": (told(logprob=None), [math.exp(-0.5), None, None]),
    "each otherwise": (told_of_some, [math.exp(-0.25), None, math.exp(-3.0)]),
}
"""What a server tells, and the odds that the view then shows of each token as the model gave them."""


@pytest.mark.parametrize("case", IN_VIEW)
def test_of_another_servers_reply_the_view_shows_what_that_tells(stub: OpenAIStub, remote: AppTest, case: str) -> None:
    stub.logprobs, odds = IN_VIEW[case]
    page = open_inside(remote.run())
    for _ in range(2):
        page.run()  # the view stays open
        assert not page.exception
    ((packed, header),) = zip(sent(page), headers(page), strict=True)
    plain = header["settings"] | {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}
    looks = [{"settings": settings, "pieces": [[0, 3]]} for settings in (plain, header["settings"])]
    [found] = look([{"packed": base64.b64encode(packed).decode(), "looks": looks}])
    assert [text for _, _, text in found["cells"]] == stub.pieces
    places = found["looked"][0]["places"]
    assert [place["odds"] for place in places] == [one if one is None else pytest.approx(one, abs=1e-3) for one in odds]
    assert found["looked"][0]["told"]["untold"] == odds.count(None)


@pytest.mark.parametrize(
    "logprobs",
    [
        lambda _: None,
        lambda _: {},
        lambda _: {"content": None},
        lambda _: {"content": []},
        lambda piece: {"content": [{"token": piece}]},
        told(logprob=None, top_logprobs=None),
        lambda piece: None if piece == "!" else told()(piece),
    ],
    ids=["null", "empty", "content: null", "content: []", "tokens alone", "nothing of them", "not of all"],
)
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_of_a_server_that_tells_nothing_the_page_says_so(
    stub: OpenAIStub, remote: AppTest, logprobs: Callable[[str], object], locale: str
) -> None:
    texts = EN if locale == "en-US" else ZH
    remote.context["locale"] = locale
    stub.logprobs = logprobs
    page = open_inside(remote.run(), texts)
    for _ in range(2):
        assert texts.inside.nothing in [info.value for info in page.info]
        assert not headers(page)
        page.run()
        assert not page.exception


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


class KnowingEngine(ScriptedEngine):
    """Tells ids and scores, and writes two tokens before it fails. A prompt's ids are its characters."""

    def __init__(self) -> None:
        super().__init__(lambda _: [*self.told(), EngineError("The device ran out of memory.")])
        self.with_info(vocabulary=200)

    def told(self) -> Iterator[Delta]:
        for text in "Hi":
            ids = np.array([ord(text), ord("e")], dtype=np.int32)
            scores = StepScores(ids, np.array([5, 4], dtype=np.float32), 1.0, ord(text), 5.0)
            yield Delta(text, ids=(ord(text),), scores=(scores,))

    def build_prompt(self, messages: Sequence[Turn], max_new_tokens: int) -> Prompt:
        prompt = super().build_prompt(messages, max_new_tokens)
        return replace(prompt, input_ids=self.tokenize(messages))

    def pieces(self, tokens: Sequence[int]) -> list[Piece]:
        return [Piece(chr(token).encode(), is_control=False) for token in tokens]


@pytest.fixture
def knowing(open_page: OpenPage) -> tuple[AppTest, KnowingEngine]:
    engine = KnowingEngine()
    return open_page(StillHost(Ready(engine, 1.0))).run(), engine


def test_of_a_reply_that_failed_the_view_knows_the_prompt(knowing: tuple[AppTest, KnowingEngine]) -> None:
    page, _ = knowing
    page.slider(key="repetition_penalty").set_value(1.3).run()
    page.text_area(key="system").set_value("you").run()
    (header,) = headers(open_inside(page))
    assert header["hiddenInPrompt"] == len(set("hello" + "you") - set("Hie"))
    assert header["settings"]["repetition_penalty"] == 1.3
    assert header["canAsk"]
    assert not any(slider["problem"] for slider in header["sliders"])


def test_where_nobody_knows_the_prompt_the_view_says_so(
    knowing: tuple[AppTest, KnowingEngine], replies: Replies
) -> None:
    """As of a reply that was kept by an earlier version."""
    page, _ = knowing
    page.slider(key="repetition_penalty").set_value(1.3).run()
    page.chat_input(key="question").set_value("hello").run()
    conversation = str(page.query_params[URL_NAME])
    replies.close()
    replies._running.clear()
    with replies.database.writing() as connection:
        messages = Messages(connection, conversation)
        (_, reply) = messages.all()
        assert reply.reply is not None
        messages.begin_again(reply.id, replace(reply.reply, record={}))
    next(button for button in page.button if EN.inside.open in (button.label, button.help)).click()
    (header,) = headers(page.run())
    problems = {slider["name"]: slider["problem"] for slider in header["sliders"]}
    assert problems.pop("repetition_penalty") == EN.inside.needs_prompt
    assert not any(problems.values())
    assert header["settings"]["repetition_penalty"] == 1.0
    assert not header["canAsk"]


def test_of_another_models_reply_the_view_shows_nothing(knowing: tuple[AppTest, KnowingEngine]) -> None:
    page, engine = knowing
    open_inside(page)
    assert headers(page)
    engine.with_info(model="Other-1B")
    page.run()
    assert not headers(page)
    assert EN.inside.nothing in [info.value for info in page.info]
    told = "This reply was written by Scripted-1B, and Other-1B runs now. Write it anew to look inside."
    assert told in [caption.value for caption in page.caption]


def test_what_was_asked_of_a_reply_is_forgotten_when_it_is_written_on(knowing: tuple[AppTest, KnowingEngine]) -> None:
    """Answers name tokens by their places among those that the view knew."""
    page, engine = knowing
    open_inside(page)
    question: dict[str, object] = {"message": page.session_state[LOOKED_INTO], "sampling": SamplingParams()}
    question["asked"] = _Question(places=[0], settings={})
    page.session_state[_ASKED] = question | {"answers": [], "problem": "asked before"}
    page.run()
    assert "asked before" in [caption.value for caption in page.caption]
    engine.script = lambda _: engine.told()
    page.button(key="resume").click().run()
    assert "asked before" not in [caption.value for caption in page.caption]
    assert len(headers(page)) == 1, "the view, and no answers"


@pytest.mark.parametrize(("normalized", "penalty"), [(False, 1.2), (True, 1.3)])
def test_a_branch_keeps_the_penalty_that_the_view_cannot_tell(
    monkeypatch: pytest.MonkeyPatch, normalized: bool, penalty: float
) -> None:
    steps = (StepScores.of_logprobs([7, 8], [-0.5, -1.0], 7, -0.5),)
    inside = _Inside(KeptScores(9, steps, normalized), frozenset({3}), SamplingParams(repetition_penalty=1.3))
    sent = {"place": 0, "rank": 1, "settings": {"repetition_penalty": 1.0 if normalized else 1.2, "top_p": 0.5}}
    monkeypatch.setattr("components.ui.chat.inside.st.session_state", {"view": SimpleNamespace(branch=sent)})
    requested: list[Action] = []
    monkeypatch.setattr("components.ui.chat.inside.request_action", requested.append)
    _branch("view", 1, inside)
    assert requested[0].changes == {"repetition_penalty": penalty, "top_p": 0.5}
