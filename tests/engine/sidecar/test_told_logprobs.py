"""Log probabilities of servers of our own: what they leave out costs no reply, and the rest is used."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from components.engine.events import ChosenToken, Delta, Finished
from components.engine.interface import Generation, GenerationRequest
from components.engine.remote.reply_by_ids import ReplyByIds
from components.engine.remote.server import Call
from components.engine.sidecar.llama_cpp_dialect import LlamaCppDialect
from components.engine.sidecar.vllm.dialect import VllmDialect
from components.model.split_characters import SplitCharacters
from components.model.token_texts import TokenTexts
from components.sampling.kept import StepScores

TEXTS = {5: b"a", 6: b"b", 7: b"c"}
TEXT_OF = TokenTexts(TEXTS.__getitem__, TEXTS.__getitem__)

REQUEST = GenerationRequest([{"role": "user", "content": "?"}], logprobs=2, kept_scores=2)

BOTH = [(b"a", -0.5), (b"b", -1.5)]


def llama_cpp_tells(told: object) -> list[dict[str, Any]]:
    """A reply of one token."""
    written = {"content": "a", "tokens": [5], "tokens_predicted": 1, "completion_probabilities": told}
    return [written, {"stop": True, "stop_type": "limit", "tokens_predicted": 1}]


def vllm_tells(told: object) -> list[dict[str, Any]]:
    """The same."""
    return [{"choices": [{"token_ids": [5], "finish_reason": "length", "logprobs": told}]}]


def entry(without: str = "", /, **other: object) -> list[dict[str, object]]:
    """What llama.cpp tells of a token, but for some of it."""
    top = [{"id": 5, "bytes": [97], "logprob": -0.5}, {"id": 6, "bytes": [98], "logprob": -1.5}]
    whole = {"id": 5, "bytes": [97], "token": "a", "logprob": -0.5, "top_logprobs": top, **other}
    return [{name: value for name, value in whole.items() if name != without}]


def lists(without: str = "", /, **other: object) -> dict[str, object]:
    """What vLLM tells of it."""
    top = [{"token_id:5": -0.5, "token_id:6": -1.5, "token_id:7": -3.0}]
    whole = {"tokens": ["token_id:5"], "token_logprobs": [-0.5], "top_logprobs": top, **other}
    return {name: value for name, value in whole.items() if name != without}


ALL = (-0.5, BOTH)
ALONE: tuple[float, list[Any]] = (-0.5, [])
NOTHING_OF_IT: tuple[None, list[Any]] = (None, [])
ITS_OWN = (None, BOTH)
ONE = (-0.5, BOTH[:1])

TOLD: dict[str, tuple[Callable[[object], list[dict[str, Any]]], object, tuple[float | None, list[Any]] | None]] = {
    "llama.cpp": (llama_cpp_tells, entry(), ALL),
    "llama.cpp, null": (llama_cpp_tells, None, None),
    "llama.cpp, no list": (llama_cpp_tells, {"a": -0.5}, None),
    "llama.cpp, []": (llama_cpp_tells, [], None),
    "llama.cpp, [null]": (llama_cpp_tells, [None], None),
    "llama.cpp, no bytes": (llama_cpp_tells, entry("bytes"), ALL),
    "llama.cpp, bytes: null": (llama_cpp_tells, entry(bytes=None), ALL),
    "llama.cpp, no logprob": (llama_cpp_tells, entry("logprob"), ITS_OWN),
    "llama.cpp, logprob: null": (llama_cpp_tells, entry(logprob=None), ITS_OWN),
    "llama.cpp, no top_logprobs": (llama_cpp_tells, entry("top_logprobs"), ALONE),
    "llama.cpp, top_logprobs: null": (llama_cpp_tells, entry(top_logprobs=None), ALONE),
    "llama.cpp, top_logprobs: []": (llama_cpp_tells, entry(top_logprobs=[]), ALONE),
    "llama.cpp, top_logprobs: [null]": (llama_cpp_tells, entry(top_logprobs=[None]), ALONE),
    "llama.cpp, one without logprob": (
        llama_cpp_tells,
        entry(top_logprobs=[{"id": 5, "bytes": [97], "logprob": -0.5}, {"id": 6, "bytes": [98]}]),
        ONE,
    ),
    "llama.cpp, nothing but the id": (llama_cpp_tells, [{"id": 5, "token": "a"}], NOTHING_OF_IT),
    "vLLM": (vllm_tells, lists(), ALL),
    "vLLM, null": (vllm_tells, None, None),
    "vLLM, no object": (vllm_tells, [-0.5], None),
    "vLLM, {}": (vllm_tells, {}, NOTHING_OF_IT),
    "vLLM, no tokens": (vllm_tells, lists("tokens"), ALL),
    "vLLM, no token_logprobs": (vllm_tells, lists("token_logprobs"), ITS_OWN),
    "vLLM, token_logprobs: null": (vllm_tells, lists(token_logprobs=None), ITS_OWN),
    "vLLM, token_logprobs: [null]": (vllm_tells, lists(token_logprobs=[None]), ITS_OWN),
    "vLLM, no top_logprobs": (vllm_tells, lists("top_logprobs"), ALONE),
    "vLLM, top_logprobs: null": (vllm_tells, lists(top_logprobs=None), ALONE),
    "vLLM, top_logprobs: []": (vllm_tells, lists(top_logprobs=[]), ALONE),
    "vLLM, top_logprobs: [null]": (vllm_tells, lists(top_logprobs=[None]), ALONE),
    "vLLM, one without logprob": (
        vllm_tells,
        lists(top_logprobs=[{"token_id:5": -0.5, "token_id:7": None, "token_id:6": -1.5}]),
        ONE,
    ),
    "vLLM, one without id": (vllm_tells, lists(top_logprobs=[{"token_id:5": -0.5, "b": -1.5}]), ONE),
}
"""Who tells what, and what is known then of the token that came; None where nothing is kept of the reply."""


def call(tells: object) -> Call:
    if tells is llama_cpp_tells:
        return LlamaCppDialect(SplitCharacters(TEXT_OF, 8, [])).call(REQUEST, [9])
    return VllmDialect("m", TEXTS.__getitem__).call(REQUEST, [9])


@pytest.mark.parametrize("case", TOLD)
def test_a_reply_is_written_whatever_is_told_of_its_tokens(case: str) -> None:
    tells, told, expected = TOLD[case]
    read = call(tells).read
    assert read is not None
    generation = Generation()
    reply = ReplyByIds(REQUEST, generation, [9], TEXT_OF)
    for event in tells(told):
        reply.take(read(event))
    assert reply.end == "length"
    reply.finish(Finished(reply.end, reply.prompt_tokens, reply.completion_tokens, 1.0, 0.1))
    delta, _ = generation
    assert isinstance(delta, Delta)
    assert (delta.text, delta.ids) == ("a", (5,))
    if expected is None:
        assert delta.scores == ()
        return
    logprob, top = expected
    (token,), (step,) = delta.tokens, delta.scores
    assert plain(token) == (b"a", logprob, top)
    ids = {text: id_ for id_, text in TEXTS.items()}
    kept = StepScores.of_logprobs([ids[text] for text, _ in top], [one for _, one in top], 5, logprob)
    assert step == kept
    assert math.isnan(step.score) == (logprob is None and not top), "listed, it is known"


def plain(token: ChosenToken) -> tuple[bytes, float | None, list[tuple[bytes, float]]]:
    return token.text, token.logprob, [(one.text, one.logprob) for one in token.top]
