"""Every field that the APIs know is in one of three groups, and is treated as its group says."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from components.api.application import build_api
from components.engine.events import ChosenToken, Delta, TokenLogprob
from components.engine.interface import GenerationRequest
from components.sampling.parameters import MAX_SEED
from tests.api.scripted_server import serving_engine
from tests.scripted_engine import INFO, ScriptedEngine

SCHEMAS = build_api().openapi()["components"]["schemas"]
HI = [{"role": "user", "content": "hi"}]
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ChatCompletionRequest": ("/v1/chat/completions", {"messages": HI}),
    "CompletionRequest": ("/v1/completions", {"prompt": "hi"}),
    "ResponsesRequest": ("/v1/responses", {"input": "hi"}),
    "TokenizeRequest": ("/tokenize", {"prompt": "hi"}),
    "DetokenizeRequest": ("/detokenize", {"tokens": [104]}),
}
OBJECT = {"type": "object"}
NOTHING: tuple[Any, ...] = (None, False, "", [], {})
Check = Callable[[GenerationRequest], object]


def follows_object(request: GenerationRequest) -> bool:
    return bool(json.loads(request.sampling.json_schema or "") == OBJECT)


IMPLEMENTED: dict[str, tuple[Any, Check]] = {
    "model": ("default", lambda _: True),
    "messages": (HI, lambda request: request.messages == HI),
    "prompt": ("hi", lambda request: request.prompt == "hi"),
    "stream": (False, lambda _: True),
    "stream_options": ({"include_usage": True}, lambda _: True),
    "n": (1, lambda _: True),
    "max_tokens": (7.0, lambda request: request.sampling.max_new_tokens == 7),
    "max_completion_tokens": (7, lambda request: request.sampling.max_new_tokens == 7),
    "stop": (list("abcdef"), lambda request: request.sampling.stop == tuple("abcdef")),
    "stop_token_ids": ([5, 6.0], lambda request: request.sampling.stop_token_ids == (5, 6)),
    "temperature": (0.5, lambda request: request.sampling.temperature == 0.5),
    "top_p": (0.5, lambda request: request.sampling.top_p == 0.5),
    "top_k": (7, lambda request: request.sampling.top_k == 7),
    "min_p": (0.5, lambda request: request.sampling.min_p == 0.5),
    "repetition_penalty": (1.5, lambda request: request.sampling.repetition_penalty == 1.5),
    "repeat_penalty": (1.5, lambda request: request.sampling.repetition_penalty == 1.5),
    "presence_penalty": (1.5, lambda request: request.sampling.presence_penalty == 1.5),
    "frequency_penalty": (1.5, lambda request: request.sampling.frequency_penalty == 1.5),
    "logit_bias": ({"5": -100}, lambda request: request.sampling.logit_bias == {5: -100}),
    "seed": (7, lambda request: request.sampling.seed == 7),
    "ignore_eos": (True, lambda request: request.sampling.ignore_eos),
    "min_tokens": (3, lambda request: request.sampling.min_tokens == 3),
    "response_format": (
        {"type": "json_object"},
        follows_object,
    ),
    "structured_outputs": ({"json": OBJECT}, follows_object),
    "guided_json": (OBJECT, follows_object),
    "guided_regex": ("a/b", lambda request: request.sampling.regex == "a/b"),
    "guided_choice": (["a", "b"], lambda request: request.sampling.choice == ("a", "b")),
    "logprobs": (True, lambda request: request.logprobs is not None),
    "top_logprobs": (0, lambda _: True),
    "continue_final_message": (False, lambda _: True),
    "add_generation_prompt": (True, lambda _: True),
    "modalities": (["text"], lambda _: True),
    "tools": ([], lambda _: True),
    "tool_choice": ("none", lambda _: True),
    "parallel_tool_calls": (False, lambda _: True),
    "functions": ([], lambda _: True),
    "function_call": ("none", lambda _: True),
    "echo": (True, lambda _: True),
    "best_of": (2, lambda request: request.logprobs == 0),
    "input": ("hi", lambda request: request.messages == HI),
    "instructions": ("x", lambda request: request.messages == [{"role": "system", "content": "x"}, *HI]),
    "text": ({"format": {"type": "json_object"}}, follows_object),
    "include": (["message.output_text.logprobs"], lambda request: request.logprobs == 0),
    "max_output_tokens": (7, lambda request: request.sampling.max_new_tokens == 7),
    "tokens": ([104.0], lambda _: True),
}
"""A value for each field, and how the engine's request shows that it was heard. Others are tested in ``test_chat``."""


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine(lambda _: ["hi"])


@pytest.fixture(scope="module")
def address(engine: ScriptedEngine) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as monkeypatch, serving_engine(engine, monkeypatch) as one:
        yield one


def fields(use: str | None) -> list[tuple[str, str]]:
    return [
        (schema, name)
        for schema in BODIES
        for name, field in SCHEMAS[schema]["properties"].items()
        if field.get("x-use") == use
    ]


def send(address: str, schema: str, **fields: Any) -> requests.Response:
    path, body = BODIES[schema]
    return requests.post(address + path, json=body | fields, timeout=60)


@pytest.mark.parametrize(("schema", "name"), fields(None))
def test_an_implemented_field_reaches_the_engine(address: str, engine: ScriptedEngine, schema: str, name: str) -> None:
    value, heard = IMPLEMENTED[name]
    if (schema, name) == ("CompletionRequest", "logprobs"):
        value = 3
    if (schema, name) == ("TokenizeRequest", "messages"):
        return  # instead of a prompt; see test_tokens
    answer = send(address, schema, **{name: value})

    assert answer.status_code == 200, answer.text
    assert "X-Ignored-Fields" not in answer.headers
    if "okenize" not in schema:
        assert heard(engine.requests[-1])


@pytest.mark.parametrize(("schema", "name"), fields("ignored"))
def test_an_ignored_field_may_hold_anything_and_is_named(address: str, schema: str, name: str) -> None:
    for value in ("x", 3, True, [1], {"a": {"b": None}}):
        answer = send(address, schema, **{name: value})
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Ignored-Fields"] == name
    assert "X-Ignored-Fields" not in send(address, schema, **{name: None}).headers


@pytest.mark.parametrize(("schema", "name"), fields("refused"))
def test_a_refused_field_is_refused_unless_it_asks_for_nothing(address: str, schema: str, name: str) -> None:
    for value in ("x", 3, True, [1], {"a": 1}):
        answer = send(address, schema, **{name: value})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == name
    for nothing in NOTHING:
        assert send(address, schema, **{name: nothing}).status_code == 200


@pytest.mark.parametrize("schema", ["ChatCompletionRequest", "CompletionRequest", "ResponsesRequest"])
@pytest.mark.parametrize(
    "name", ["regex", "ebnf", "json_schema", "grammar", "structural_tag", "guided_grammar", "allowed_token_ids"]
)
def test_a_form_asked_for_in_another_servers_words_is_never_ignored(address: str, schema: str, name: str) -> None:
    answer = send(address, schema, **{name: "[a-z]+"})

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == name


def test_each_group_has_fields() -> None:
    assert all(len(fields(use)) > 10 for use in (None, "ignored", "refused"))


@given(
    name=st.text(min_size=1),
    value=st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_an_unknown_field_is_ignored_and_named_whatever_it_is_called(address: str, name: str, value: Any) -> None:
    if name in SCHEMAS["ChatCompletionRequest"]["properties"]:
        return
    answer = send(address, "ChatCompletionRequest", **{name: value})

    assert answer.status_code == 200, answer.text
    assert ("X-Ignored-Fields" in answer.headers) == (value is not None)


def test_a_thousand_unknown_fields_make_a_short_header(address: str) -> None:
    answer = send(address, "ChatCompletionRequest", **{f"field-{i}": 1 for i in range(1000)})

    assert len(answer.headers["X-Ignored-Fields"]) < 1000
    assert answer.headers["X-Ignored-Fields"].endswith("...")


@pytest.mark.parametrize("stream", [False, True])
def test_unknown_fields_within_messages_are_named_once(address: str, stream: bool) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}
    messages = [message | {"id": "1", "timestamp": 5, "provider_specific_fields": None}] * 2
    answer = send(address, "ChatCompletionRequest", messages=messages, stream=stream)

    assert answer.status_code == 200, answer.text
    names = "messages[].content[].cache_control, messages[].id, messages[].timestamp"
    assert sorted(answer.headers["X-Ignored-Fields"].split(", ")) == names.split(", ")


@pytest.mark.parametrize("schema", ["ChatCompletionRequest", "CompletionRequest", "ResponsesRequest"])
def test_null_is_the_same_as_leaving_a_field_out(address: str, schema: str) -> None:
    _, body = BODIES[schema]
    nulls = {name: None for name in SCHEMAS[schema]["properties"] if name not in body}
    answer = send(address, schema, **nulls)

    assert answer.status_code == 200, answer.text
    assert "X-Ignored-Fields" not in answer.headers


WRITING = {name: BODIES[name] for name in ("ChatCompletionRequest", "CompletionRequest")}


@pytest.mark.parametrize("schema", WRITING)
@pytest.mark.parametrize(
    ("sent", "name", "used"),
    [
        ({"top_p": 1}, "top_p", 1.0),
        ({"top_p": 0}, "top_p", 1e-6),  # OpenAI's; vLLM refuses it
        ({"top_k": -1}, "top_k", 0),
        ({"top_k": 0}, "top_k", 0),
        ({"top_k": 1}, "top_k", 1),
        ({"top_k": 5.0}, "top_k", 5),
        ({"top_k": 1001}, "top_k", 1001),
        ({"top_k": 10**30}, "top_k", 10**30),
        ({"min_p": 0}, "min_p", 0.0),
        ({"min_p": 1}, "min_p", 1.0),
        ({"max_tokens": -1}, "max_new_tokens", 32768),  # llama.cpp's; vLLM refuses it
        ({"max_tokens": 7.0}, "max_new_tokens", 7),
        ({"min_tokens": 0}, "min_tokens", 0),
        ({"temperature": 0}, "temperature", 0.0),
        ({"temperature": 2}, "temperature", 2.0),
        ({"stop": []}, "stop", ()),
        ({"stop": [chr(97 + i) * 3 for i in range(20)]}, "stop", tuple(chr(97 + i) * 3 for i in range(20))),
        ({"stop_token_ids": []}, "stop_token_ids", ()),
        ({"logit_bias": {"5": 100, "6": -100}}, "logit_bias", {5: 100.0, 6: -100.0}),
        ({"logit_bias": {"5": 101, "6": -1e9}}, "logit_bias", {5: 100.0, 6: -100.0}),
        ({"temperature": 5}, "temperature", 5.0),
        ({"repetition_penalty": 2.5}, "repetition_penalty", 2.5),
        ({"repetition_penalty": 0.3}, "repetition_penalty", 0.3),
        ({"stop": [f"{i}-" for i in range(40)]}, "stop", tuple(f"{i}-" for i in range(40))),
        ({"stop": "x" * 900}, "stop", ("x" * 900,)),
        ({"seed": -1}, "seed", None),
        ({"seed": 0}, "seed", 0),
        ({"seed": -2}, "seed", MAX_SEED - 1),
        ({"seed": 2**53}, "seed", 0),
        ({"seed": 2**63 - 1}, "seed", MAX_SEED),
        ({"seed": -(2**63)}, "seed", 0),
        ({"seed": 2**64 - 1}, "seed", MAX_SEED),
        ({"seed": 7.0}, "seed", 7),
    ],
)
def test_values_that_vllm_takes_mean_the_same(
    address: str, engine: ScriptedEngine, schema: str, sent: dict[str, Any], name: str, used: Any
) -> None:
    answer = send(address, schema, **sent)

    assert answer.status_code == 200, answer.text
    told = getattr(engine.requests[-1].sampling, name)
    assert told == (min(used, INFO.context_length - 2) if name == "max_new_tokens" else used)


@pytest.mark.parametrize("schema", WRITING)
@pytest.mark.parametrize(
    "sent",
    [
        {"top_p": -0.1},
        {"top_p": 1.1},
        {"top_k": -2},
        {"top_k": 1.5},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"max_tokens": -2},
        {"min_tokens": -1},
        {"min_tokens": 5, "max_tokens": 4},
        {"temperature": -0.1},
        {"presence_penalty": 2.1},
        {"frequency_penalty": -2.1},
        {"repetition_penalty": 0},
        {"repeat_penalty": 1.1, "repetition_penalty": 1.2},
        {"seed": 2**64},
        {"seed": -(2**63) - 1},
        {"n": 0},
        {"n": 129},
        {"logprobs": -1},
        {"stop": ""},
        {"stop": ["a", ""]},
        {"stop_token_ids": [-1]},
        {"logit_bias": {"-1": 1}},
        {"logit_bias": {"x": 1}},
    ],
)
def test_values_that_vllm_refuses_are_refused_by_name(address: str, schema: str, sent: dict[str, Any]) -> None:
    answer = send(address, schema, **sent)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"].split(".")[0] == next(iter(sent))


@pytest.mark.parametrize(
    "name",
    ["Scripted-1B", "scripted-1b", "someone/Scripted-1B", "openai/someone/SCRIPTED-1b", "default", "Default", "", " "],
)
def test_a_name_of_the_running_model_means_it(address: str, name: str) -> None:
    assert send(address, "ChatCompletionRequest", model=name).json()["model"] == "Scripted-1B"
    if name.strip():
        assert requests.get(f"{address}/v1/models/{name}", timeout=60).json()["id"] == "Scripted-1B"


@pytest.mark.parametrize("name", ["gpt-4o", "Scripted", "Scripted-1B-Chat", "1B", "Scripted-1B/other"])
def test_another_models_name_is_not_found(address: str, name: str) -> None:
    answer = send(address, "ChatCompletionRequest", model=name)

    assert answer.status_code == 404
    assert "'Scripted-1B'" in answer.json()["error"]["message"]


@given(roles=st.lists(st.sampled_from(["system", "developer", "user", "assistant"]), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_system_messages_are_joined_in_front_and_the_turns_keep_their_order(
    address: str, engine: ScriptedEngine, roles: list[str]
) -> None:
    messages = [{"role": role, "content": f"{role} {i}"} for i, role in enumerate([*roles, "user"])]
    answer = send(address, "ChatCompletionRequest", messages=messages)

    assert answer.status_code == 200, answer.text
    system = [message["content"] for message in messages if message["role"] in ("system", "developer")]
    turns = [message for message in messages if message["role"] not in ("system", "developer")]
    expected = [{"role": "system", "content": "\n\n".join(system)}, *turns] if system else turns
    assert engine.requests[-1].messages == expected
    rearranged = [message["role"] for message in expected] != [
        message["role"].replace("developer", "system") for message in messages
    ]
    assert ("joined in front" in answer.headers.get("X-Notes", "")) == rearranged


@pytest.mark.parametrize("stream", [False, True])
def test_no_tokens_can_be_asked_for(address: str, engine: ScriptedEngine, stream: bool) -> None:
    before = len(engine.requests)
    body = {
        "prompt": ["ab", "c"],
        "max_tokens": 0,
        "echo": True,
        "stream": stream,
        "stream_options": {"include_usage": True},
    }
    answer = send(address, "CompletionRequest", **body)

    assert len(engine.requests) == before
    if not stream:
        assert [(choice["text"], choice["finish_reason"]) for choice in answer.json()["choices"]] == [
            ("ab", "length"),
            ("c", "length"),
        ]
        assert answer.json()["usage"]["total_tokens"] == 3
        return
    *events, done, _ = answer.text.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    texts = ["", ""]
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        texts[choice["index"]] += choice["text"]
    assert (texts, done) == (["ab", "c"], "data: [DONE]")
    assert chunks[-1]["usage"]["total_tokens"] == 3


def test_the_best_of_several_are_the_likeliest(monkeypatch: pytest.MonkeyPatch) -> None:
    likelihoods = iter([0.1, 0.4, 0.2, 0.3])

    class Likely(ScriptedEngine):
        def _run(self, request: Any, prompt: Any, generation: Any) -> None:
            text = str(next(likelihoods))
            generation.put(Delta(text, 1, (ChosenToken(text.encode(), math.log(float(text))),)))
            super()._run(request, prompt, generation)

    with serving_engine(Likely(lambda _: []), monkeypatch) as address:
        answer = send(address, "CompletionRequest", best_of=4, n=2).json()

    assert [choice["text"] for choice in answer["choices"]] == ["0.4", "0.3"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert answer["usage"]["prompt_tokens"] == 2, "a prompt counts once"
    assert all(choice["logprobs"] is None for choice in answer["choices"])


def partly_told(_: GenerationRequest) -> list[Delta]:
    """As another server tells its tokens that leaves something out."""
    others = (TokenLogprob(b"a", -0.5), TokenLogprob(b"b", -1.5))
    tokens = [ChosenToken(b"a", -0.5, others), ChosenToken(b"b", None, others), ChosenToken(b"c", -2.0)]
    return [Delta(token.text.decode(), 1, (token,)) for token in tokens]


def test_of_a_chat_those_log_probabilities_are_told_that_another_server_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_engine(ScriptedEngine(partly_told), monkeypatch) as address:
        (choice,) = send(address, "ChatCompletionRequest", logprobs=True, top_logprobs=2).json()["choices"]

    assert choice["message"]["content"] == "abc"
    told = [(one["token"], one["logprob"], len(one["top_logprobs"])) for one in choice["logprobs"]["content"]]
    assert told == [("a", -0.5, 2), ("c", -2.0, 0)]


def test_of_a_text_each_token_is_told_and_null_for_what_another_server_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving_engine(ScriptedEngine(partly_told), monkeypatch) as address:
        (choice,) = send(address, "CompletionRequest", logprobs=2).json()["choices"]
        best = send(address, "CompletionRequest", best_of=2, n=1)

    assert choice["text"] == "abc"
    assert choice["logprobs"] == {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [-0.5, None, -2.0],
        "top_logprobs": [{"a": -0.5, "b": -1.5}, {"a": -0.5, "b": -1.5}, {"c": -2.0}],
        "text_offset": [0, 1, 2],
    }
    assert best.json()["choices"][0]["text"] == "abc"


@pytest.mark.parametrize(
    "fields",
    [
        {"guided_json": OBJECT, "guided_regex": "a"},
        {"response_format": {"type": "json_object"}, "guided_choice": ["a"]},
        {"structured_outputs": {"json": OBJECT, "regex": "a"}},
    ],
)
def test_a_reply_follows_one_form_only(address: str, fields: dict[str, Any]) -> None:
    answer = send(address, "ChatCompletionRequest", **fields)

    assert answer.status_code == 400
    assert "one form only" in answer.json()["error"]["message"]
