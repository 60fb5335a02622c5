"""Log probabilities as servers really tell them: none of what they leave out costs a reply, and the rest is used."""

from collections.abc import Callable
from typing import Any

import pytest

from components.engine.errors import UnsupportedError
from components.engine.events import ChosenToken, Delta, Event, Finished, PromptRead
from components.engine.interface import GenerationRequest
from components.engine.remote.engine import RemoteEngine
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from tests.engine.remote.conftest import Connect
from tests.engine.remote.openai_stub import OpenAIStub

QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]
SHORT = SamplingParams(max_new_tokens=64)
REPLY = "百川归海。"

Told = tuple[str, float | None, list[tuple[str, float]]]
"""Text, log probability, and the likeliest tokens in its place."""

TOP = [{"token": "a", "logprob": -0.25, "bytes": None}, {"token": "b", "logprob": -2, "bytes": [98]}]
LIKELIEST = [("a", -0.25), ("b", -2.0)]


def entry(piece: str, without: str = "", /, **other: object) -> dict[str, object]:
    """What a server should tell of a token, but for some of it."""
    whole = {"token": piece, "bytes": list(piece.encode()), "logprob": -0.5, "top_logprobs": TOP, **other}
    return {name: value for name, value in whole.items() if name != without}


def only(**other: object) -> Callable[[str], object]:
    return lambda piece: {"content": [entry(piece, **other)]}


def without(name: str) -> Callable[[str], object]:
    return lambda piece: {"content": [entry(piece, name)]}


def with_top(*top: object) -> Callable[[str], object]:
    return only(top_logprobs=list(top))


def none(_: str) -> list[Told]:
    return []


def one(logprob: float | None, *top: tuple[str, float]) -> Callable[[str], list[Told]]:
    return lambda piece: [(piece, logprob, list(top))]


IN_CHATS: dict[str, tuple[Callable[[str], object], Callable[[str], list[Told]]]] = {
    "as it should be": (only(), one(-0.5, *LIKELIEST)),
    "null": (lambda _: None, none),
    "no object": (lambda _: -0.5, none),
    "a list": (lambda _: [], none),
    "empty": (lambda _: {}, none),
    "another form": (lambda piece: {"tokens": [piece], "token_logprobs": [-0.5]}, none),
    "content: null": (lambda _: {"content": None}, none),
    "content: a text": (lambda piece: {"content": piece}, none),
    "content: []": (lambda _: {"content": []}, none),
    "an entry that is null": (lambda _: {"content": [None]}, one(None)),
    "an empty entry": (lambda _: {"content": [{}]}, one(None)),
    "no token": (without("token"), one(-0.5, *LIKELIEST)),
    "neither token nor bytes": (
        lambda piece: {"content": [entry(piece, "token", bytes=None)]},
        one(-0.5, *LIKELIEST),
    ),
    "no token of two": (
        lambda piece: {"content": [entry(piece), entry(piece, "token", bytes=None)]},
        lambda piece: [(piece, -0.5, LIKELIEST), ("", -0.5, LIKELIEST)],
    ),
    "token: null": (only(token=None), one(-0.5, *LIKELIEST)),
    "bytes: null": (only(bytes=None), one(-0.5, *LIKELIEST)),
    "no bytes": (without("bytes"), one(-0.5, *LIKELIEST)),
    "bytes: []": (only(bytes=[]), one(-0.5, *LIKELIEST)),
    "bytes that are none": (only(bytes=[300, "a"]), one(-0.5, *LIKELIEST)),
    "half a character": (only(bytes=None, token="\ud83d"), lambda _: [("?", -0.5, LIKELIEST)]),
    "no logprob": (without("logprob"), one(None, *LIKELIEST)),
    "logprob: null": (only(logprob=None), one(None, *LIKELIEST)),
    "logprob: a text": (only(logprob="likely"), one(None, *LIKELIEST)),
    "logprob: true": (only(logprob=True), one(None, *LIKELIEST)),
    "logprob: no number": (only(logprob=float("nan")), one(None, *LIKELIEST)),
    "logprob: a probability above 1": (only(logprob=7.5), one(None, *LIKELIEST)),
    "logprob: more than a float holds": (only(logprob=10**400), one(None, *LIKELIEST)),
    "logprob: rounded above 0": (only(logprob=1e-7), one(0.0, *LIKELIEST)),
    "logprob: 0": (only(logprob=0), one(0.0, *LIKELIEST)),
    "logprob: without end": (only(logprob=-float("inf")), one(-9999.0, *LIKELIEST)),
    "no top_logprobs": (without("top_logprobs"), one(-0.5)),
    "top_logprobs: null": (only(top_logprobs=None), one(-0.5)),
    "top_logprobs: an object": (only(top_logprobs={"a": -0.25}), one(-0.5)),
    "top_logprobs: []": (with_top(), one(-0.5)),
    "nothing but a token": (lambda piece: {"content": [{"token": piece}]}, one(None)),
    "fewer than asked for": (with_top(TOP[0]), one(-0.5, ("a", -0.25))),
    "more than asked for": (with_top(*TOP, {"token": "c", "logprob": -3}), one(-0.5, *LIKELIEST)),
    "the chosen one first": (with_top({"token": "c", "logprob": -3}, *TOP), one(-0.5, *LIKELIEST)),
    "a likely one without logprob": (with_top({"token": "c", "logprob": None}, *TOP), one(-0.5)),
    "an unlikely one without logprob": (with_top(TOP[0], {"token": "c"}, TOP[1]), one(-0.5, ("a", -0.25))),
    "one without token": (with_top(TOP[0], {"logprob": -1}, TOP[1]), one(-0.5, ("a", -0.25))),
    "one that is null": (with_top(TOP[0], None), one(-0.5, ("a", -0.25))),
    "only in some chunks": (
        lambda piece: None if piece == "归" else {"content": [entry(piece)]},
        lambda piece: [] if piece == "归" else [(piece, -0.5, LIKELIEST)],
    ),
}
"""What a server tells of a piece, and what becomes of it where two likeliest tokens were asked for."""

PAIR = {"b": -2, "a": -0.25}


def listed(piece: str, **other: object) -> dict[str, object]:
    return {"tokens": [piece], "token_logprobs": [-0.5], "top_logprobs": [PAIR], "text_offset": [0], **other}


def listing(**other: object) -> Callable[[str], object]:
    return lambda piece: listed(piece, **other)


IN_TEXTS: dict[str, tuple[Callable[[str], object], Callable[[str], list[Told]]]] = {
    "as it should be": (listing(), one(-0.5, *LIKELIEST)),
    "null": (lambda _: None, none),
    "no object": (lambda _: -0.5, none),
    "empty": (lambda _: {}, none),
    "another form": (only(), none),
    "tokens: null": (listing(tokens=None), none),
    "tokens: a text": (lambda piece: listed(piece, tokens=piece), none),
    "tokens: []": (listing(tokens=[]), none),
    "a token that is null": (listing(tokens=[None]), one(-0.5, *LIKELIEST)),
    "token_logprobs: null": (listing(token_logprobs=None), one(None, *LIKELIEST)),
    "token_logprobs: []": (listing(token_logprobs=[]), one(None, *LIKELIEST)),
    "token_logprobs: [null]": (listing(token_logprobs=[None]), one(None, *LIKELIEST)),
    "token_logprobs: too many": (listing(token_logprobs=[-0.5, -1]), one(-0.5, *LIKELIEST)),
    "top_logprobs: null": (listing(top_logprobs=None), one(-0.5)),
    "top_logprobs: []": (listing(top_logprobs=[]), one(-0.5)),
    "top_logprobs: [null]": (listing(top_logprobs=[None]), one(-0.5)),
    "top_logprobs: [{}]": (listing(top_logprobs=[{}]), one(-0.5)),
    "top_logprobs: an object": (listing(top_logprobs=PAIR), one(-0.5)),
    "more than asked for": (listing(top_logprobs=[{"c": -3, **PAIR}]), one(-0.5, *LIKELIEST)),
    "one without logprob": (listing(top_logprobs=[{"a": -0.25, "c": None, "b": -2}]), one(-0.5, ("a", -0.25))),
    "nothing but tokens": (lambda piece: {"tokens": [piece]}, one(None)),
    "only in some chunks": (
        lambda piece: None if piece == "归" else listed(piece),
        lambda piece: [] if piece == "归" else [(piece, -0.5, LIKELIEST)],
    ),
}
"""The same of plain completions."""


def ask(engine: RemoteEngine, **options: Any) -> list[Event]:
    prompt = options.get("prompt")
    return list(engine.generate(GenerationRequest([] if prompt else QUESTION, SHORT, **options)))


def plain(tokens: tuple[ChosenToken, ...]) -> list[Told]:
    return [(t.text.decode(), t.logprob, [(one.text.decode(), one.logprob) for one in t.top]) for t in tokens]


def assert_written(events: list[Event], expected: Callable[[str], list[Told]]) -> None:
    *deltas, last = events
    assert isinstance(last, Finished)
    assert (last.reason, last.completion_tokens) == ("stop", 8)
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == REPLY
    for delta in deltas:
        assert isinstance(delta, Delta)
        assert plain(delta.tokens) == expected(delta.text)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("told", IN_CHATS)
def test_a_chats_reply_is_written_whatever_is_told_of_its_tokens(
    stub: OpenAIStub, remote: Connect, told: str, kept: bool
) -> None:
    stub.logprobs, expected = IN_CHATS[told]
    assert_written(ask(remote(), **({"kept_scores": 2} if kept else {"logprobs": 2})), expected)
    assert len(stub.replies) == 1


@pytest.mark.parametrize("told", IN_TEXTS)
def test_a_prompts_continuation_is_written_whatever_is_told_of_its_tokens(
    stub: OpenAIStub, remote: Connect, told: str
) -> None:
    stub.logprobs, expected = IN_TEXTS[told]
    assert_written(ask(remote(), prompt="从前", logprobs=2), expected)


def echoed(text: str, **other: object) -> dict[str, object]:
    rest = len(text) - 1
    top = [None, *[PAIR] * rest]
    return {"tokens": list(text), "token_logprobs": [None, *[-0.5] * rest], "top_logprobs": top, **other}


OF_PROMPTS: dict[str, tuple[Callable[[str], object], list[Told] | None]] = {
    "as it should be": (echoed, [("有", -0.5, LIKELIEST), ("山", -0.5, LIKELIEST)]),
    "top_logprobs: null": (lambda text: echoed(text, top_logprobs=None), [("有", -0.5, []), ("山", -0.5, [])]),
    "top_logprobs: [null, …]": (
        lambda text: echoed(text, top_logprobs=[None, None, PAIR]),
        [("有", -0.5, []), ("山", -0.5, LIKELIEST)],
    ),
    "one is not told": (
        lambda text: echoed(text, token_logprobs=[None, None, -0.5]),
        [("有", None, LIKELIEST), ("山", -0.5, LIKELIEST)],
    ),
    "one is missing": (
        lambda text: echoed(text, token_logprobs=[None, -0.5]),
        [("有", -0.5, LIKELIEST), ("山", None, LIKELIEST)],
    ),
    "null": (lambda _: None, None),
    "no object": (lambda _: -0.5, None),
    "tokens: null": (lambda text: echoed(text, tokens=None), None),
    "a token that is null": (lambda text: echoed(text, tokens=[*text[:2], None]), None),
    "token_logprobs: null": (lambda text: echoed(text, token_logprobs=None), None),
    "none is told": (lambda text: echoed(text, token_logprobs=[None] * 3), None),
}


@pytest.mark.parametrize("told", OF_PROMPTS)
def test_a_prompts_tokens_are_told_as_far_as_they_are_known(stub: OpenAIStub, remote: Connect, told: str) -> None:
    stub.logprobs, expected = OF_PROMPTS[told]
    if expected is None:
        with pytest.raises(UnsupportedError, match="does not tell the log probabilities of prompts"):
            ask(remote(), prompt="从有山", prompt_logprobs=2)
        return
    read = ask(remote(), prompt="从有山", prompt_logprobs=2)[0]
    assert isinstance(read, PromptRead)
    assert (read.first.decode(), plain(read.others)) == ("从", expected)


@pytest.mark.parametrize("usage", [{}, "many", {"total_tokens": 7}, {"prompt_tokens": None, "completion_tokens": 3}])
def test_counts_that_are_none_are_as_if_none_were_told(stub: OpenAIStub, remote: Connect, usage: object) -> None:
    stub.usage = usage
    last = ask(remote())[-1]
    assert isinstance(last, Finished)
    assert last.approximate
    assert last.completion_tokens == 4
