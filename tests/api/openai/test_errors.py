"""What is wrong is said in OpenAI's form, whatever it is."""

import json
import time
from collections.abc import Iterable
from typing import Any, Literal

import openai
import pytest
import requests

from components.access.identity import Identity
from components.engine.errors import EngineError, LimitError, QueueFullError, UnsupportedError
from components.engine.events import Finished
from components.engine.host import Failed, Loading
from components.engine.interface import Generation, GenerationRequest
from components.engine.line.limits import Limits
from tests.api.scripted_server import OWNER, serving, serving_engine, wait_for
from tests.scripted_engine import ScriptedEngine, endless

KEY = Identity("key", "test")
HI = [{"role": "user", "content": "hi"}]


def post(address: str, body: Any, path: str = "/v1/chat/completions") -> requests.Response:
    return requests.post(address + path, json=body, timeout=60)


def assert_error(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    assert error["message"]
    return error


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ([], None, "object"),
        ("hi", None, "object"),
        ({}, "messages", "required"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": "hi"}, "messages", "array"),
        ({"messages": ["hi"]}, "messages.0", "object"),
        ({"messages": [{"role": "user"}]}, "messages.0", "needs content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0", "needs content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content", "a text or a list of text parts, not 3"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0", "needs content"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role", "'user'"),
        ({"messages": [{"role": "system", "content": "x"}]}, None, "no message to answer"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content.0.type",
            "'text', 'input_text' or 'output_text', not 'image_url'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages.0.content.0.type",
            "'text'",
        ),
        (
            {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}]},
            "messages.0.tool_calls.0.function",
            "required",
        ),
        ({"messages": HI, "temperature": -1}, "temperature", "greater than or equal to 0"),
        ({"messages": HI, "temperature": 10.1}, "temperature", "less than or equal to 10, not 10.1"),
        ({"messages": HI, "temperature": "hot"}, "temperature", "number"),
        ({"messages": HI, "temperature": True}, "temperature", "number"),
        ({"messages": HI, "top_p": -0.1}, "top_p", "greater than or equal to 0"),
        ({"messages": HI, "top_k": 1.5}, "top_k", "integer"),
        ({"messages": HI, "repetition_penalty": 11}, "repetition_penalty", "10"),
        ({"messages": HI, "presence_penalty": 3}, "presence_penalty", "2"),
        ({"messages": HI, "frequency_penalty": -3}, "frequency_penalty", "-2"),
        ({"messages": HI, "top_k": -2}, "top_k", "-1"),
        ({"messages": HI, "seed": 2**64}, "seed", "18446744073709551615"),
        ({"messages": HI, "n": 0}, "n", "1"),
        ({"messages": HI, "n": 129}, "n", "128"),
        ({"messages": HI, "max_tokens": 0}, "max_tokens", "at least 1 token"),
        ({"messages": HI, "max_completion_tokens": "many"}, "max_completion_tokens", "integer"),
        ({"messages": HI, "max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", "Send one of them"),
        ({"messages": HI, "stop": 3}, "stop", "a text or a list of texts"),
        ({"messages": HI, "stop": ""}, "stop", "at least 1 character"),
        ({"messages": HI, "stream": "yes"}, "stream", "boolean"),
        ({"messages": HI, "top_logprobs": 2}, "top_logprobs", '"logprobs": true'),
        ({"messages": HI, "logprobs": True, "top_logprobs": 51}, "top_logprobs", "50"),
        ({"messages": HI, "logit_bias": {"x": 1}}, "logit_bias.x.[key]", "integer"),
        ({"messages": HI, "functions": [{"name": "f"}]}, "functions", '"function_call": "none"'),
        ({"messages": HI, "modalities": ["audio"]}, "modalities.0", "'text'"),
        ({"messages": HI, "stop": ["a"] * 257}, "stop", "at most 256"),
        ({"messages": HI, "min_tokens": 9, "max_tokens": 8}, "min_tokens", "longest reply, 8"),
        ({"messages": HI, "response_format": {"type": "xml"}}, "response_format.type", "'json_schema'"),
        ({"messages": HI, "response_format": {"type": "json_schema"}}, "response_format.json_schema", "must be there"),
        (
            {"messages": HI, "response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
            "required",
        ),
        (
            {
                "messages": HI,
                "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "zzz"}}},
            },
            "response_format.json_schema.schema",
            "schema cannot be used",
        ),
        (
            {
                "messages": HI,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": ["x" * 70_000]}}},
            },
            "response_format.json_schema.schema",
            "65536",
        ),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=False)[-60:],
)
def test_a_bad_chat_call_is_refused_with_the_field_and_the_reason(
    server: str, body: Any, param: str | None, message: str
) -> None:
    error = assert_error(post(server, body), 400)

    assert error["param"] == param
    assert message in error["message"]


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({}, "prompt", "required"),
        ({"prompt": ""}, "prompt", "at least 1 character"),
        ({"prompt": []}, "prompt", "a list of token ids"),
        ({"prompt": {"a": 1}}, "prompt", "a list of token ids"),
        ({"prompt": ["a", 1]}, "prompt.1", "string"),
        ({"prompt": [1, "a"]}, "prompt.1", "integer"),
        ({"prompt": [[]]}, "prompt.0", "at least 1"),
        ({"prompt": [4096]}, None, "ids run from 0 to 4095"),
        ({"prompt": "a", "suffix": "b"}, "suffix", "never in between"),
        ({"prompt": "a", "n": 3, "best_of": 2}, "best_of", "n, which is 3"),
        ({"prompt": "a", "logprobs": 51}, "logprobs", "50"),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=False)[-60:],
)
def test_a_bad_completion_call_is_refused_with_the_field_and_the_reason(
    server: str, body: Any, param: str | None, message: str
) -> None:
    error = assert_error(post(server, body, "/v1/completions"), 400)

    assert error["param"] == param
    assert message in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"messages=hi",
        b"[" * 100_000,
        b'{"messages": ' * 20_000,
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "hi"}], "\\udfff": 1}',
        b'{"messages": [{"role": "user", "content": "hi"}], "temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "hi"}], "temperature": 1e999}',
        b'{"messages": [{"role": "user", "content": "hi"}], "seed": ' + b"9" * 5000 + b"}",
        b'{"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_schema", '
        b'"json_schema": {"schema": {"const": NaN}}}}',
    ],
    ids=lambda body: repr(body[-40:]),
)
def test_a_body_that_is_no_json_is_refused(server: str, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/completions", "/detokenize"):
        assert_error(requests.post(server + path, data=body, timeout=60), 400)


def test_a_body_that_is_too_large_is_refused(server: str) -> None:
    error = assert_error(post(server, {"messages": [{"role": "user", "content": "a" * 1_000_000}]}), 413)

    assert "larger than 524288 bytes" in error["message"]


@pytest.mark.parametrize("content", ["长" * 300, "ab" * 250_000])
def test_what_does_not_fit_the_context_is_refused_and_never_cut(server: str, content: str) -> None:
    messages = [*HI, {"role": "assistant", "content": content}, *HI]
    error = assert_error(post(server, {"messages": messages}), 400)

    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert "maximum context length is 256 tokens" in error["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": HI, "max_tokens": 254}),
        ("/v1/chat/completions", {"messages": HI, "max_completion_tokens": 30_000}),
        ("/v1/chat/completions", {"messages": HI, "max_tokens": 100_000}),
        ("/v1/chat/completions", {"messages": HI, "max_completion_tokens": 2**31 - 1}),
        ("/v1/completions", {"prompt": "hi", "max_tokens": 100_000}),
        ("/v1/responses", {"input": "hi", "max_output_tokens": 100_000}),
        ("/v1/completions", {"prompt": [5] * 200, "max_tokens": 57}),
    ],
)
def test_a_reply_that_cannot_fit_the_context_is_refused(server: str, path: str, body: Any) -> None:
    assert assert_error(post(server, body, path), 400)["code"] == "context_length_exceeded"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/models/a/b", "/v1/a%0Ab"])
def test_what_is_not_there_is_not_found(server: str, path: str) -> None:
    assert_error(requests.get(server + path, timeout=60), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/chat/completions"), ("PUT", "/v1/completions"), ("DELETE", "/v1/models/x")]
)
def test_a_wrong_method_is_refused_and_the_right_one_named(server: str, method: str, path: str) -> None:
    answer = requests.request(method, server + path, timeout=60)

    assert_error(answer, 405)
    assert answer.headers["allow"] in {"GET", "POST"}


def test_the_official_client_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(
            model="baichuan2-7b-tiny", messages=[{"role": "user", "content": "hi"}], temperature=99
        )

    assert error.value.param == "temperature"


@pytest.mark.parametrize(
    ("state", "message"),
    [(Loading("weights", time.monotonic()), "still loading"), (Failed("There is no model."), "There is no model.")],
)
def test_while_no_model_answers_every_call_says_when_to_come_again(
    monkeypatch: pytest.MonkeyPatch, state: Loading | Failed, message: str
) -> None:
    with serving(state, monkeypatch) as address:
        answers = [
            requests.get(f"{address}/v1/models", timeout=60),
            post(address, {"messages": HI}),
            post(address, {"messages": HI, "stream": True}),
            post(address, {"prompt": "hi"}, "/v1/completions"),
            post(address, {"prompt": "hi"}, "/tokenize"),
        ]

    for answer in answers:
        error = assert_error(answer, 503)
        assert (error["code"], message in error["message"]) == ("model_not_ready", True)
        assert int(answer.headers["retry-after"]) > 0


class FullEngine(ScriptedEngine):
    """Takes one reply and refuses the next."""

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        if self.requests:
            raise QueueFullError("64 replies are waiting already. Try again in a minute.", retry_after=41.5)
        super()._start(request, generation)


def test_a_full_queue_says_when_to_come_again_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FullEngine(endless)
    with serving_engine(engine, monkeypatch) as address:
        answer = post(address, {"messages": HI, "n": 2})

        error = assert_error(answer, 503)
        assert error["code"] == "overloaded"
        assert answer.headers["retry-after"] == "42"
        assert wait_for(lambda: len(engine.cancelled) == 1), "the first of the two was left running"


def test_a_caller_who_has_had_its_share_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: GenerationRequest) -> Generation:
        raise LimitError("The 100 tokens of a day are used up.", retry_after=7)

    engine = ScriptedEngine()
    monkeypatch.setattr(engine, "generate", refuse)
    with serving_engine(engine, monkeypatch) as address:
        answer = post(address, {"messages": HI})

    assert assert_error(answer, 429)["code"] == "rate_limit_exceeded"
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("limits", "identity", "path", "body", "param", "most"),
    [
        ({"replies_at_once": 8}, KEY, "chat/completions", {"messages": HI, "n": 9}, "n", 8),
        ({"requests_per_minute": 3}, KEY, "chat/completions", {"messages": HI, "n": 4, "stream": True}, "n", 3),
        ({"replies_at_once": 8}, KEY, "completions", {"prompt": "a", "n": 9}, "n", 8),
        ({"replies_at_once": 8}, KEY, "completions", {"prompt": ["a"] * 3, "n": 3}, "n", 8),
        ({"replies_at_once": 8}, KEY, "completions", {"prompt": ["a"] * 9}, "prompt", 8),
        ({"replies_at_once": 8, "requests_per_minute": 6}, KEY, "completions", {"prompt": [[5]] * 7}, "prompt", 6),
        ({"replies_at_once": 8}, OWNER, "completions", {"prompt": ["a"] * 81}, "prompt", 80),
        ({}, KEY, "chat/completions", {"messages": HI, "n": 81}, "n", 80),
    ],
)
def test_more_replies_than_one_request_can_ever_get_are_refused_and_not_put_off(
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, Any],
    identity: Identity,
    path: str,
    body: dict[str, Any],
    param: str,
    most: int,
) -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(**limits)
    with serving_engine(engine, monkeypatch, identity) as address:
        error = assert_error(post(address, body, f"/v1/{path}"), 400)

    assert error["param"] == param
    assert f"which is {most}." in error["message"]
    assert engine.requests == []


def test_as_many_replies_as_are_allowed_at_once_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(replies_at_once=8)
    with serving_engine(engine, monkeypatch, KEY) as address:
        assert len(post(address, {"messages": HI, "n": 8}).json()["choices"]) == 8


def broken(_: GenerationRequest) -> Iterable[str | EngineError]:
    yield "well"
    yield EngineError("The device ran out of memory.")


def test_a_reply_that_fails_is_an_error_or_the_last_event_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_engine(ScriptedEngine(broken), monkeypatch) as address:
        error = assert_error(post(address, {"messages": HI}), 500)
        events = post(address, {"messages": HI, "stream": True}).text.split("\n\n")
        with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            stream = client.chat.completions.create(
                model="Scripted-1B", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            with pytest.raises(openai.APIError, match="out of memory"):
                list(stream)

    assert error["message"] == "The device ran out of memory."
    assert json.loads(events[-2].removeprefix("data: ")) == {"error": error}
    assert "[DONE]" not in events[-1]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_crash_is_told_without_its_details(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def crash(_: GenerationRequest) -> None:
        raise ArithmeticError("secret detail")

    engine = ScriptedEngine()
    monkeypatch.setattr(engine, "generate", crash)
    with serving_engine(engine, monkeypatch) as address:
        answer = post(address, {"messages": HI} if "chat" in path else {"prompt": "hi"}, path)

    assert "secret" not in answer.text
    assert_error(answer, 500)


@pytest.mark.parametrize("reason", ["loop", "time"])
def test_a_reply_that_the_server_ends_has_a_reason_that_clients_know(
    monkeypatch: pytest.MonkeyPatch, reason: Literal["loop", "time"]
) -> None:
    def ended(_: GenerationRequest) -> Iterable[str | Finished]:
        yield "la la"
        yield Finished(reason, 2, 300, 1.0, 0.1)

    with serving_engine(ScriptedEngine(ended), monkeypatch) as address:
        choice = post(address, {"messages": HI}).json()["choices"][0]
        *_, last, _, _ = post(address, {"messages": HI, "stream": True}).text.split("\n\n")

    assert (choice["finish_reason"], choice["stop_reason"]) == ("length", reason)
    ending = json.loads(last.removeprefix("data: "))["choices"][0]
    assert (ending["finish_reason"], ending["stop_reason"]) == ("length", reason)


def test_a_reply_that_the_server_cut_short_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_: GenerationRequest) -> Iterable[str | Finished]:
        yield "half"
        yield Finished("cancelled", 2, 1, 1.0, 0.1)

    with serving_engine(ScriptedEngine(cut), monkeypatch) as address:
        assert "Ask again" in assert_error(post(address, {"messages": HI}), 500)["message"]
        assert "[DONE]" not in post(address, {"messages": HI, "stream": True}).text


def test_an_engine_that_cannot_count_tokens_judges_the_length_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot_tell(_: object, *, invites: bool = True) -> list[int]:
        raise UnsupportedError("The other server does not tell.")

    engine = ScriptedEngine()
    monkeypatch.setattr(engine, "tokenize", cannot_tell)
    with serving_engine(engine, monkeypatch) as address:
        assert post(address, {"messages": HI}).json()["choices"][0]["message"]["content"] == "You said: hi"
        assert "does not tell" in assert_error(post(address, {"prompt": "hi"}, "/tokenize"), 400)["message"]
