"""A model on another server: a stub of one that speaks real HTTP, and the real client."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.engine.errors import (
    ContextFullError,
    EngineError,
    EngineNotReadyError,
    PromptError,
    QueueFullError,
    UnsupportedError,
)
from components.engine.events import Delta, Event, Finished, PromptRead, Waiting
from components.engine.host import EngineHost, Failed, Ready
from components.engine.interface import GenerationRequest
from components.engine.remote.connecting import connect
from components.engine.remote.engine import RemoteEngine
from components.engine.replay import replay
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from components.settings import Settings, SettingsError
from tests.engine.remote.conftest import KEY, Connect
from tests.engine.remote.openai_stub import MODEL, OpenAIStub, Refusal, running_stub
from tests.server import ROOT, free_port

QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]
SHORT = SamplingParams(max_new_tokens=64)


def ask(engine: RemoteEngine, text: str = "你是谁", **sampling: Any) -> list[Event]:
    request = GenerationRequest([{"role": "user", "content": text}], SHORT.model_copy(update=sampling))
    return list(engine.generate(request))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def turns(*texts: str) -> list[Message]:
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]


# A reply, from the request to the receipt.


def test_text_comes_in_the_pieces_that_the_server_sends(remote: Connect) -> None:
    deltas = [event.text for event in ask(remote()) if isinstance(event, Delta)]

    assert deltas == ["百川", "归", "海", "。"]


def test_the_servers_own_counts_are_told(remote: Connect) -> None:
    last = finished(ask(remote()))

    assert (last.reason, last.prompt_tokens, last.completion_tokens, last.reused_tokens) == ("stop", 5, 8, 1)
    assert not last.approximate
    assert last.time_to_first_token is not None


def test_a_server_may_send_a_token_in_several_pieces(stub: OpenAIStub, remote: Connect) -> None:
    stub.tokens_per_piece = 0.5

    assert finished(ask(remote())).completion_tokens == 2


def test_counts_of_a_server_that_tells_none_are_called_approximate(stub: OpenAIStub, remote: Connect) -> None:
    stub.counts = False
    last = finished(ask(remote()))

    assert last.approximate
    assert last.completion_tokens == 4
    assert last.prompt_tokens > 0


def test_a_reply_that_is_cut_says_so(remote: Connect) -> None:
    assert finished(ask(remote(), max_new_tokens=4)).reason == "length"


def test_every_sampling_parameter_reaches_the_server(stub: OpenAIStub, remote: Connect) -> None:
    schema = {"type": "object"}
    ask(
        remote(),
        temperature=0.7,
        top_p=0.9,
        top_k=7,
        repetition_penalty=1.2,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=11,
        stop=("海",),
        json_schema=json.dumps(schema),
    )
    body = stub.replies[-1]

    expected = {
        "model": MODEL,
        "max_tokens": 64,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 7,
        "repetition_penalty": 1.2,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "seed": 11,
        "stop": ["海"],
        "stream_options": {"include_usage": True},
        "messages": QUESTION,
    }
    assert {name: body[name] for name in expected} == expected
    assert body["response_format"]["json_schema"]["schema"] == schema


LARK = 'start: "a"'


@pytest.mark.parametrize(
    ("owner", "form", "sent"),
    [
        ("vllm", {"regex": "a+"}, {"structured_outputs": {"regex": "a+"}, "guided_regex": "a+"}),
        ("vllm", {"choice": ("a", "b")}, {"structured_outputs": {"choice": ["a", "b"]}, "guided_choice": ["a", "b"]}),
        ("vllm", {"grammar": LARK}, {"structured_outputs": {"grammar": LARK}, "guided_grammar": LARK}),
        ("sglang", {"regex": "a+"}, {"regex": "a+"}),
        ("sglang", {"choice": ("a.", "b")}, {"regex": r"(a\.)|(b)"}),
        ("sglang", {"grammar": LARK}, "SGLang, cannot"),
        ("llamacpp", {"regex": "a+"}, "llama-server, cannot be asked for replies that follow a regular expression"),
        (
            "llamacpp",
            {"choice": ('"', "\\\n", "好")},
            {"grammar": r'root ::= "\U00000022" | "\U0000005C\U0000000A" | "好"'},
        ),
        ("llamacpp", {"grammar": LARK}, 'tool_choice": "required"'),
        ("baichuan-chat", {"regex": "a+"}, {"structured_outputs": {"regex": "a+"}}),
        ("baichuan-chat", {"choice": ("a", "b")}, {"structured_outputs": {"choice": ["a", "b"]}}),
        ("baichuan-chat", {"grammar": LARK}, "cannot"),
        ("somebody", {"regex": "a+"}, "Send a JSON schema"),
        (None, {"choice": ("a",)}, "Send a JSON schema"),
        (None, {"grammar": LARK}, "Send a JSON schema"),
    ],
)
def test_forms_are_asked_for_as_the_kind_of_server_wants_them(
    stub: OpenAIStub, remote: Connect, owner: str | None, form: dict[str, Any], sent: dict[str, Any] | str
) -> None:
    stub.models = [{"id": MODEL, "max_model_len": 4096, **({"owned_by": owner} if owner else {})}]
    engine = remote()
    if isinstance(sent, str):
        with pytest.raises(UnsupportedError, match=sent):
            ask(engine, **form)
        assert not stub.replies
    else:
        ask(engine, **form)
        names = {"structured_outputs", "grammar", "regex", "guided_regex", "guided_choice", "guided_grammar"}
        body = stub.replies[-1]
        assert {name: body[name] for name in names & body.keys()} == sent
        assert "response_format" not in body


def test_no_limit_on_top_k_is_said_in_so_many_words(stub: OpenAIStub, remote: Connect) -> None:
    """Left out, it would be what the server finds in the checkpoint."""
    ask(remote(), top_k=0)

    assert stub.replies[-1]["top_k"] == -1


def test_a_top_k_beyond_any_vocabulary_is_one_that_servers_can_hold(stub: OpenAIStub, remote: Connect) -> None:
    ask(remote(), top_k=10**12)

    assert stub.replies[0]["top_k"] == 2**31 - 1


def test_parameters_that_the_server_does_not_know_are_left_out_from_then_on(stub: OpenAIStub, remote: Connect) -> None:
    stub.unknown = {"top_k", "repetition_penalty"}
    engine = remote()
    first, second = ask(engine, top_k=7), ask(engine, top_k=7)

    assert text_of(first) == text_of(second) == "百川归海。"
    assert [sorted(stub.unknown & body.keys()) for body in stub.replies] == [
        ["repetition_penalty", "top_k"],
        ["top_k"],
        [],
        [],
    ]
    receipt = finished(second).receipt
    assert receipt is not None
    assert receipt.sampling.top_k == 0, "what was not sent is not claimed"


def test_no_limit_on_top_k_is_said_otherwise_to_a_server_that_wants_it_so(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [
        Refusal(400, "top_k: Input should be greater than or equal to 0, not -1; more is not a known field")
    ]
    engine = remote()
    receipts = [finished(ask(engine, top_k=0)).receipt for _ in range(2)]

    assert [body["top_k"] for body in stub.replies] == [-1, 0, 0]
    assert all(receipt and receipt.sampling.top_k == 0 for receipt in receipts)


def test_a_refused_value_is_not_left_out_but_told(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [Refusal(400, "top_k must be at most 100, got 500")]

    with pytest.raises(PromptError, match="at most 100"):
        ask(remote(), top_k=500)


@pytest.mark.parametrize("prompt", ["从前有座山", [5, 6, 7]])
def test_a_prompt_is_written_on_as_it_stands(stub: OpenAIStub, remote: Connect, prompt: str | list[int]) -> None:
    events = list(remote().generate(GenerationRequest([], SHORT, prompt=prompt)))

    assert text_of(events) == "百川归海。"
    assert stub.requests[-1][0] == "/v1/completions"
    assert stub.replies[-1]["prompt"] == prompt


def test_a_reply_that_is_continued_asks_for_the_rest_only(stub: OpenAIStub, remote: Connect) -> None:
    list(remote().generate(GenerationRequest(turns("讲个故事", "从前"), SHORT)))

    assert stub.replies[-1]["continue_final_message"] is True
    assert stub.replies[-1]["add_generation_prompt"] is False


@pytest.mark.parametrize("prompt", [None, "从前"])
def test_log_probabilities_come_with_the_text(remote: Connect, prompt: str | None) -> None:
    request = GenerationRequest([] if prompt else QUESTION, SHORT, prompt=prompt, logprobs=2)
    deltas = [event for event in remote().generate(request) if isinstance(event, Delta)]

    assert [token.text.decode() for delta in deltas for token in delta.tokens] == [delta.text for delta in deltas]
    assert all(token.logprob == token.top[0].logprob == -0.5 for delta in deltas for token in delta.tokens)
    assert all(len(token.top) == 2 for delta in deltas for token in delta.tokens)


@pytest.mark.parametrize("prompt", [None, "从前"])
def test_scores_to_keep_are_asked_for_as_far_as_servers_tell_them(
    stub: OpenAIStub, remote: Connect, prompt: str | None
) -> None:
    request = GenerationRequest([] if prompt else QUESTION, SHORT, prompt=prompt, kept_scores=50)
    deltas = [event for event in remote().generate(request) if isinstance(event, Delta)]

    body = stub.replies[-1]
    assert (body["top_logprobs"] if prompt is None else body["logprobs"]) == 20
    assert all(len(token.top) for delta in deltas for token in delta.tokens)
    assert [token.text.decode() for delta in deltas for token in delta.tokens] == [delta.text for delta in deltas]


def test_a_server_that_tells_no_log_probabilities_writes_without_them(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [Refusal(400, "top_logprobs must not be larger than 5")]
    engine = remote()
    for _ in range(2):
        events = list(engine.generate(GenerationRequest(QUESTION, SHORT, kept_scores=50)))
        assert text_of(events) == "百川归海。"
        assert not any(event.tokens for event in events if isinstance(event, Delta))

    assert ["logprobs" in body for body in stub.replies] == [True, False, False]
    # Whoever asks for them by name is told.
    stub.refusals = [Refusal(400, "top_logprobs must not be larger than 5")]
    with pytest.raises(PromptError, match="larger than 5"):
        list(engine.generate(GenerationRequest(QUESTION, SHORT, logprobs=9)))


def test_who_keeps_no_scores_asks_for_none(stub: OpenAIStub, remote: Connect) -> None:
    ask(remote())

    assert not {"logprobs", "top_logprobs"} & stub.replies[-1].keys()


@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize("prompt", ["从前有", [20174, 21069, 26377]])
def test_the_prompts_log_probabilities_are_asked_for_first(
    stub: OpenAIStub, remote: Connect, prompt: str | list[int], writes: bool
) -> None:
    events = list(remote().generate(GenerationRequest([], SHORT, prompt=prompt, prompt_logprobs=2, writes=writes)))

    read, *rest = events
    assert isinstance(read, PromptRead)
    assert (read.first.decode(), [token.text.decode() for token in read.others]) == ("从", ["前", "有"])
    assert [token.logprob for token in read.others] == [-0.5, -0.5]
    assert [[one.text for one in token.top] for token in read.others] == [["前".encode(), b"a"], ["有".encode(), b"a"]]
    assert [body.get("stream", False) for body in stub.replies] == [False, True][: 1 + writes]
    assert stub.replies[0].items() >= {"echo": True, "logprobs": 2, "max_tokens": 0, "prompt": prompt}.items()
    assert text_of(rest) == ("百川归海。" if writes else "")
    assert finished(events).prompt_tokens == 1, "as the server counts"
    assert finished(events).reason == ("stop" if writes else "length")


def test_a_server_that_tells_nothing_of_prompts_is_not_taken_at_its_word(stub: OpenAIStub, remote: Connect) -> None:
    stub.echoes = False

    with pytest.raises(UnsupportedError, match="leave echo or logprobs out"):
        list(remote().generate(GenerationRequest([], SHORT, prompt="从前", prompt_logprobs=0)))


def test_a_server_that_refuses_to_echo_is_quoted(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [Refusal(400, "Echo is not supported")]

    with pytest.raises(PromptError, match="Echo is not supported"):
        list(remote().generate(GenerationRequest([], SHORT, prompt="从前", prompt_logprobs=0)))


def test_a_prompt_that_is_not_told_in_time_ends_the_wait(stub: OpenAIStub, remote: Connect) -> None:
    stub.stall_before = -1

    generation = remote(openai_first_token_timeout=0.2).generate(
        GenerationRequest([], SHORT, prompt="从前", prompt_logprobs=0)
    )
    with pytest.raises(EngineError, match=r"did not begin the reply within 0\.2 seconds"):
        list(generation)


def test_a_reply_that_is_asked_for_again_does_not_tell_the_prompt_again(stub: OpenAIStub, remote: Connect) -> None:
    stub.drop_before = 0
    request = GenerationRequest([], SHORT, prompt="从前", prompt_logprobs=0)
    generation = remote(openai_retries=2).generate(request)

    assert [type(generation.get()) for _ in range(3)] == [PromptRead, Waiting, Waiting]
    with pytest.raises(EngineError):
        generation.get()


@pytest.mark.parametrize("size", [1, 7])
def test_a_reply_that_goes_round_in_a_circle_is_ended(stub: OpenAIStub, remote: Connect, size: int) -> None:
    text = "The river flows to the sea, 河流入海。" * 200
    stub.pieces = [text[start : start + size] for start in range(0, len(text), size)]
    events = ask(remote(), max_new_tokens=2000)

    assert finished(events).reason == "loop"
    assert 500 < len(text_of(events)) < len(text) / 2


def test_a_receipt_says_what_is_known_and_claims_no_more(remote: Connect) -> None:
    engine = remote()
    receipt = finished(ask(engine, seed=3)).receipt

    assert receipt is not None
    assert not receipt.exact
    assert receipt.messages == QUESTION
    assert (receipt.model, receipt.versions) == (MODEL, {"system_fingerprint": "stub-1"})
    with pytest.raises(UnsupportedError):
        replay(engine, receipt)


# What fits.


def test_whole_rounds_that_do_not_fit_are_left_out(stub: OpenAIStub, remote: Connect) -> None:
    stub.models = [{"id": MODEL, "max_model_len": 200}]
    engine = remote()
    messages: list[Message] = [{"role": "system", "content": "简短"}, *turns("一" * 90, "二", "三" * 90, "四", "五")]
    list(engine.generate(GenerationRequest(messages, SHORT)))

    assert stub.last_messages == ["简短", "三" * 90, "四", "五"]
    assert engine.build_prompt(messages, 64).dropped_messages == 2


def test_without_the_servers_tokenizer_what_is_sent_fits_by_estimate(stub: OpenAIStub, remote: Connect) -> None:
    stub.tokenizes = False
    stub.models = [{"id": MODEL, "max_model_len": 400}]
    messages = turns("一" * 200, "二", "三" * 200, "四", "五")
    list(remote().generate(GenerationRequest(messages, SHORT)))

    assert stub.last_messages == ["三" * 200, "四", "五"]


@pytest.mark.parametrize("tokenizes", [True, False])
def test_a_message_that_does_not_fit_is_never_sent(stub: OpenAIStub, remote: Connect, tokenizes: bool) -> None:
    stub.tokenizes = tokenizes
    stub.models = [{"id": MODEL, "max_model_len": 200}]
    engine = remote()

    with pytest.raises(PromptError, match="too long"):
        ask(engine, "词" * 300)
    with pytest.raises(PromptError, match="too long"):
        list(engine.generate(GenerationRequest([], SHORT, prompt="词" * 300)))
    assert stub.replies == []


@pytest.mark.parametrize(("tokenizes", "left"), [(True, 200 - 96), (False, 200 - 137)])
def test_a_reply_is_written_on_in_the_room_that_is_left(
    stub: OpenAIStub, remote: Connect, tokenizes: bool, left: int
) -> None:
    stub.tokenizes = tokenizes
    stub.models = [{"id": MODEL, "max_model_len": 200}]
    engine = remote()
    longest = SamplingParams(max_new_tokens=150)
    request = GenerationRequest(turns("一" * 20, "二", "三", "四" * 91), longest, may_be_shorter=True)
    receipt = finished(list(engine.generate(request))).receipt

    assert stub.last_messages == ["三", "四" * 91], "older rounds make room"
    assert stub.replies[-1]["max_tokens"] == left
    assert receipt is not None
    assert receipt.sampling.max_new_tokens == left
    with pytest.raises(ContextFullError):
        list(engine.generate(GenerationRequest(turns("三", "四" * 200), longest, may_be_shorter=True)))


def test_the_server_is_asked_for_lengths_only_when_it_matters_and_once(stub: OpenAIStub, remote: Connect) -> None:
    stub.models = [{"id": MODEL, "max_model_len": 400}]
    engine = remote()
    engine.build_prompt(turns("短"), 64)
    assert stub.requests == [], "so short a text fits in any tokens"
    for _ in range(3):
        engine.build_prompt(turns("长" * 250, "短", "短"), 64)

    assert [path for path, _ in stub.requests] == ["/tokenize"]


def test_the_page_can_ask_what_fits_while_the_server_is_away(remote: Connect) -> None:
    with running_stub() as other:
        other.models = [{"id": MODEL, "max_model_len": 400}]
        engine = remote(openai_base_url=other.url)

    assert engine.build_prompt(turns("一" * 200, "二", "三" * 200, "四", "五"), 64).dropped_messages == 2


def test_the_context_is_what_the_server_says_else_what_the_settings_say(stub: OpenAIStub, remote: Connect) -> None:
    assert remote(openai_context_length=1000).info.context_length == 4096
    stub.models = [{"id": MODEL}]
    info = remote(openai_context_length=1000).info

    assert info.context_length == 1000
    assert info.defaults.max_new_tokens == 500


def test_tokens_are_told_by_a_server_that_can(stub: OpenAIStub, remote: Connect) -> None:
    engine = remote()

    assert engine.detokenize(engine.tokenize("海")) == "海"
    assert engine.detokenize([ord("海"), 0xFFFD, 0xFFFD]) == "海", "what is not complete at the end"
    assert len(engine.tokenize(QUESTION)) == 5
    stub.tokenizes = False
    with pytest.raises(UnsupportedError, match="no /tokenize"):
        engine.tokenize("海")
    with pytest.raises(UnsupportedError, match="no /detokenize"):
        engine.detokenize([5])


def test_a_server_that_knows_only_the_main_fields_tells_tokens_and_continues(stub: OpenAIStub, remote: Connect) -> None:
    stub.unknown = {"add_special_tokens", "continue_final_message", "add_generation_prompt"}
    engine = remote()

    assert engine.tokenize("海") == engine.tokenize("海") == [ord("海")]
    assert len(engine.tokenize(turns("讲", "从"))) == 6
    assert [path for path, _ in stub.requests] == ["/tokenize"] * 4, "one refusal, then it is known"
    assert text_of(list(engine.generate(GenerationRequest(turns("讲个故事", "从前"), SHORT)))) == "百川归海。"


@pytest.mark.parametrize(
    "request_",
    [
        GenerationRequest([], SHORT),
        GenerationRequest([], SHORT, prompt=""),
        GenerationRequest(QUESTION, SHORT.model_copy(update={"json_schema": "{"})),
        GenerationRequest(QUESTION, SHORT.model_copy(update={"max_new_tokens": 5000})),
    ],
)
def test_what_no_server_could_answer_is_refused_at_once(remote: Connect, request_: GenerationRequest) -> None:
    with pytest.raises(PromptError):
        remote().generate(request_)


# Stopping.


@pytest.mark.parametrize("stall_before", [-1, 0, 2])
def test_cancelling_hangs_up(stub: OpenAIStub, remote: Connect, stall_before: int) -> None:
    """Whether the server has answered yet or not."""
    stub.stall_before = stall_before
    with remote().generate(GenerationRequest(QUESTION, SHORT)) as generation:
        for _ in range(max(0, stall_before)):
            assert isinstance(generation.get(10), Delta)
        wait_until(lambda: bool(stub.replies))
        generation.cancel()
        last = generation.get(10)

    assert isinstance(last, Finished)
    assert (last.reason, last.completion_tokens) == ("cancelled", max(0, stall_before))
    assert last.approximate
    assert stub.gone.wait(60), "the server sees it"


def test_a_circle_hangs_up_too(stub: OpenAIStub, remote: Connect) -> None:
    stub.pieces = ["水"] * 300
    stub.stall_before = 290
    assert finished(ask(remote())).reason == "loop"

    assert stub.gone.wait(60)


def test_closing_ends_what_is_written_and_what_waits(stub: OpenAIStub, remote: Connect) -> None:
    stub.stall_before = 0
    engine = remote(max_batch=1)
    generations = [engine.generate(GenerationRequest(QUESTION, SHORT)) for _ in range(2)]
    engine.close()

    assert [finished(list(generation)).reason for generation in generations] == ["cancelled", "cancelled"]
    with pytest.raises(EngineError, match="shut down"):
        ask(engine)


# Taking turns.


def test_one_visitors_many_requests_do_not_starve_anothers_one(stub: OpenAIStub, remote: Connect) -> None:
    stub.stall_before = -1
    engine = remote(max_batch=1)

    def start(visitor: str) -> Iterator[Event]:
        messages: list[Message] = [{"role": "user", "content": visitor}]
        return iter(engine.generate(GenerationRequest(messages, SHORT, visitor)))

    greedy = [start("greedy") for _ in range(5)]
    other = start("other")
    place = next(other)
    stub.release.set()
    for events in (*greedy, other):
        list(events)

    assert isinstance(place, Waiting)
    assert [body["messages"][0]["content"] for body in stub.replies].index("other") <= 2


def test_no_more_replies_than_set_are_written_at_once_and_no_more_wait(stub: OpenAIStub, remote: Connect) -> None:
    stub.stall_before = 0
    engine = remote(max_batch=2, max_queue=1)
    generations = [engine.generate(GenerationRequest(QUESTION, SHORT)) for _ in range(3)]
    wait_until(lambda: engine.load().active == 2)

    assert engine.load().waiting == 1
    with pytest.raises(QueueFullError):
        engine.generate(GenerationRequest(QUESTION, SHORT))
    generations[2].cancel()
    assert finished(list(generations[2])).reason == "cancelled"
    assert engine.load().waiting == 0


# Trouble.


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_temporary_refusal_is_asked_again_and_the_reader_is_told(
    stub: OpenAIStub, remote: Connect, status: int
) -> None:
    stub.refusals = [Refusal(status), Refusal(status)]
    events = ask(remote())

    assert text_of(events) == "百川归海。"
    assert len(stub.replies) == 3
    assert [event.seconds is not None for event in events if isinstance(event, Waiting)] == [True, True]


def test_the_server_says_when_to_ask_again(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [Refusal(429, headers={"Retry-After": "0.2"})]
    waits = [event.seconds for event in ask(remote()) if isinstance(event, Waiting)]

    assert waits[0] is not None
    assert waits[0] >= 0.2


def test_nobody_waits_for_minutes_because_a_server_says_so(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [Refusal(429, headers={"Retry-After": "3600"})]

    with pytest.raises(QueueFullError, match="in 3600 seconds"):
        ask(remote())
    assert len(stub.replies) == 1


@pytest.mark.parametrize(
    ("refusal", "kind", "message"),
    [
        (Refusal(429), QueueFullError, "takes no more requests"),
        (Refusal(500, "CUDA error"), EngineError, "CUDA error"),
        (Refusal(503), EngineNotReadyError, "not ready"),
        (Refusal(500, "half \ud83d"), EngineError, r"half \?"),
    ],
)
def test_after_all_tries_the_reason_is_told(
    stub: OpenAIStub, remote: Connect, refusal: Refusal, kind: type[EngineError], message: str
) -> None:
    stub.refusals = [refusal] * 3

    with pytest.raises(kind, match=message):
        ask(remote(openai_retries=2))
    assert len(stub.replies) == 3


def test_what_the_server_finds_too_long_is_the_messages_fault(stub: OpenAIStub, remote: Connect) -> None:
    stub.refusals = [Refusal(400, "This model's maximum context length is 4096 tokens.")]

    with pytest.raises(PromptError, match=r"maximum context length.*Shorten"):
        ask(remote())
    assert len(stub.replies) == 1


def test_an_error_within_the_stream_is_told(stub: OpenAIStub, remote: Connect) -> None:
    stub.stream_error = {"message": "the schema is too complex", "code": 400}

    with pytest.raises(PromptError, match="too complex"):
        ask(remote())


@pytest.mark.parametrize("chunked", [True, False])
def test_a_stream_that_breaks_off_ends_the_reply_and_is_not_asked_for_again(
    stub: OpenAIStub, remote: Connect, chunked: bool
) -> None:
    stub.drop_before, stub.chunked = 2, chunked
    generation = remote().generate(GenerationRequest(QUESTION, SHORT))
    written = [generation.get(10), generation.get(10)]

    with pytest.raises(EngineError, match="What was written is kept"):
        generation.get(10)
    assert text_of(written) == "百川归"
    assert len(stub.replies) == 1


def test_a_stream_that_breaks_off_before_the_first_token_is_asked_for_again(stub: OpenAIStub, remote: Connect) -> None:
    stub.drop_before = 0
    with pytest.raises(EngineError, match="does not answer"):
        ask(remote(openai_retries=1))

    assert len(stub.replies) == 2


@pytest.mark.parametrize("stall_before", [-1, 0])
def test_a_first_token_that_does_not_come_ends_the_wait(stub: OpenAIStub, remote: Connect, stall_before: int) -> None:
    stub.stall_before = stall_before

    for seconds in (0.25, 2.0, 8.0, 32.0):  # until it is long enough for the request to reach the server
        with pytest.raises(EngineError, match=rf"did not begin the reply within {seconds:g} seconds"):
            ask(remote(openai_first_token_timeout=seconds))
        if stub.replies:
            break
    assert len(stub.replies) == 1
    assert stub.gone.wait(60)


def test_a_token_that_does_not_follow_ends_the_reply(stub: OpenAIStub, remote: Connect) -> None:
    stub.stall_before = 2

    with pytest.raises(EngineError, match=r"nothing came for 0.2 seconds.*What was written is kept"):
        ask(remote(openai_token_timeout=0.2))
    assert len(stub.replies) == 1
    assert stub.gone.wait(60)


def test_a_reply_that_takes_too_long_ends_with_what_was_written(stub: OpenAIStub, remote: Connect) -> None:
    stub.stall_before = 2
    for seconds in (0.5, 2.0, 8.0, 32.0):  # until it is long enough for what comes before the stall
        events = ask(remote(max_reply_seconds=seconds))
        assert finished(events).reason == "time"
        assert "百川归".startswith(text_of(events))
        if text_of(events):
            break

    assert text_of(events) == "百川归"
    assert stub.gone.wait(60)


def test_a_server_that_takes_no_connection_is_not_waited_for(remote: Connect) -> None:
    """Its line of connections is full: the next one is neither taken nor refused."""
    with socket.socket() as listener, contextlib.ExitStack() as line:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = line.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        with pytest.raises(EngineNotReadyError, match=f"127.0.0.1:{port}/v1 does not answer"):
            remote(openai_base_url=f"http://127.0.0.1:{port}/v1", openai_connect_timeout=0.2)


def test_a_wrong_key_is_named_but_never_shown(stub: OpenAIStub, remote: Connect) -> None:
    engine = remote()
    stub.key = "another"

    with pytest.raises(EngineError, match="BAICHUAN_OPENAI_API_KEY") as caught:
        ask(engine)
    assert KEY not in str(caught.value)
    assert len(stub.replies) == 1


def test_an_unknown_model_is_named_with_those_that_there_are(stub: OpenAIStub, remote: Connect) -> None:
    engine = remote()
    stub.models = [{"id": "one"}, {"id": "two"}]

    with pytest.raises(EngineError, match=f"no model {MODEL}. It has: one, two"):
        ask(engine)
    with pytest.raises(EngineError, match=f"no model {MODEL}. It has: one, two"):
        remote(openai_model=MODEL)
    assert remote(openai_model="two").info.model == "two"
    assert remote().info.model == "one"


def test_a_server_that_goes_away_and_comes_back_is_used_again(remote: Connect) -> None:
    with running_stub() as first:
        engine = remote(openai_base_url=first.url, openai_retries=1)
        ask(engine)
    port = urlsplit(first.url).port
    with pytest.raises(EngineNotReadyError, match=f"127.0.0.1:{port}/v1 does not answer.*Check"):
        ask(engine)
    assert port is not None
    with running_stub(port):
        assert text_of(ask(engine)) == "百川归海。"


def test_the_host_says_which_server_is_away_and_tries_again() -> None:
    port = free_port()
    settings = Settings(engine="openai", openai_base_url=f"http://127.0.0.1:{port}/v1")
    host = EngineHost(lambda on_stage: connect(settings, on_stage))
    with pytest.raises(EngineNotReadyError):
        host.wait(10)
    failed = host.state
    with running_stub(port):
        host.start()
        host.wait(10).close()

    assert isinstance(failed, Failed)
    assert f"127.0.0.1:{port}/v1" in failed.message
    assert isinstance(host.state, Ready)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_asked_for_a_server_on_this_machine(
    remote: Connect, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    assert text_of(ask(remote())) == "百川归海。"


def test_an_address_without_the_api_behind_it_is_named(stub: OpenAIStub, remote: Connect) -> None:
    with pytest.raises(EngineError, match="usually ends with /v1"):
        remote(openai_base_url=stub.url.removesuffix("/v1"))


@pytest.mark.parametrize(
    ("url", "message"), [(None, "BAICHUAN_OPENAI_BASE_URL"), ("http://me:secret@127.0.0.1/v1", "no secrets")]
)
def test_an_address_that_cannot_be_used_is_refused(url: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        connect(Settings(engine="openai", openai_base_url=url), lambda _: None)
    assert "me:secret" not in str(caught.value)


def test_the_key_stands_in_no_error_receipt_or_description(stub: OpenAIStub, remote: Connect) -> None:
    engine = remote()
    receipt = finished(ask(engine)).receipt
    stub.refusals = [Refusal(400, f"no such thing for {KEY}")]
    with pytest.raises(PromptError, match="no such thing") as caught:
        ask(engine)

    assert receipt is not None
    assert stub.url in receipt.engine
    for text in (receipt.to_json(), str(caught.value), repr(engine.info), repr(engine._settings)):
        assert KEY not in text


def test_the_application_needs_no_torch_for_it(stub: OpenAIStub) -> None:
    script = (
        "import sys; from components.api.routes import build_routes; import components.ui.page;"
        "from components.engine.host import engine_host; engine_host().wait(30).close();"
        "print({'torch', 'transformers'} & sys.modules.keys())"
    )
    env = {"BAICHUAN_ENGINE": "openai", "BAICHUAN_OPENAI_BASE_URL": stub.url}
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )

    assert output.stdout.strip() == "set()", output.stdout
