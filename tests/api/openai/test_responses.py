"""OpenAI's own client speaks the Responses API to the real server."""

import json
from collections.abc import Iterable
from typing import Any

import openai
import pytest
import requests

from components.engine.errors import EngineError
from components.engine.events import Finished
from components.engine.interface import GenerationRequest
from tests.api.scripted_server import serving_engine
from tests.scripted_engine import ScriptedEngine
from tests.tiny import CHATS

MODEL = "baichuan2-7b-tiny"
GREEDY: dict[str, Any] = {"model": MODEL, "temperature": 0, "extra_body": {"repetition_penalty": 1.0}}
SCHEMA = {
    "type": "object",
    "properties": {"flies": {"type": "boolean"}},
    "required": ["flies"],
    "additionalProperties": False,
}


def test_a_text_is_answered_as_the_reference_does(client: openai.OpenAI) -> None:
    response = client.responses.create(input=CHATS[0]["messages"][0]["content"], max_output_tokens=24, **GREEDY)

    assert response.output_text == CHATS[0]["greedy_text"]
    assert response.output[0].type == "message"
    assert (response.status, response.store, response.error) in [
        ("completed", False, None),
        ("incomplete", False, None),
    ]
    assert response.usage is not None
    assert response.usage.input_tokens == len(CHATS[0]["input_ids"])
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_instructions_are_the_system_message_and_replies_can_be_sent_back(client: openai.OpenAI) -> None:
    system, user = CHATS[1]["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    first = client.responses.create(
        instructions=system["content"],
        input=[{"role": "user", "content": user["content"]}],
        max_output_tokens=24,
        **GREEDY,
    )
    assert first.output_text == CHATS[1]["greedy_text"]

    items: Any = [{"role": "user", "content": "你好"}, *first.output, {"role": "user", "content": "再见"}]
    again = client.responses.create(input=items, max_output_tokens=4, **GREEDY)
    chat = client.chat.completions.create(
        messages=[
            {"role": "user", "content": "你好"},
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "再见"},
        ],
        max_tokens=4,
        **GREEDY,
    )
    assert again.output_text == chat.choices[0].message.content


def test_a_stream_has_openais_events_in_openais_order(client: openai.OpenAI) -> None:
    events = list(client.responses.create(input="讲个故事", max_output_tokens=8, stream=True, **GREEDY))
    kinds = [event.type for event in events]
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]

    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    [*_, last] = events
    assert last.type == "response.incomplete"
    assert last.response.output_text == "".join(pieces)
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 8


def test_the_clients_own_stream_helper_understands_the_events(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="讲个故事", max_output_tokens=8, temperature=0) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]

    assert texts


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_follows_a_json_schema(client: openai.OpenAI, stream: bool) -> None:
    text: Any = {"format": {"type": "json_schema", "name": "bird", "schema": SCHEMA, "strict": True}}
    answer: Any = client.responses.create(
        model=MODEL, input="Does it fly?", text=text, max_output_tokens=64, stream=stream
    )
    if stream:
        *_, last = answer
        assert last.type == "response.completed"
        answer = last.response
    assert answer.status == "completed"
    assert isinstance(json.loads(answer.output_text)["flies"], bool)


def test_log_probabilities_are_told_when_asked_for(client: openai.OpenAI) -> None:
    response = client.responses.create(
        input="你好", include=["message.output_text.logprobs"], top_logprobs=2, max_output_tokens=4, **GREEDY
    )
    content: Any = response.output[0]
    logprobs = content.content[0].logprobs

    assert len(logprobs) == 4
    assert all(len(token.top_logprobs) == 2 and token.logprob == token.top_logprobs[0].logprob for token in logprobs)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"input": ""}, "input"),
        ({"input": [{"type": "item_reference", "id": "x", "role": "user"}]}, "input.0.type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input.0.content.0.type",
        ),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"n": 2}, "n"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_cannot_be_done_is_refused(server: str, fields: dict[str, Any], param: str) -> None:
    answer = requests.post(f"{server}/v1/responses", json={"input": "hi"} | fields, timeout=60)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param, answer.text


def test_what_clients_send_by_themselves_is_taken(server: str) -> None:
    body: dict[str, Any] = {
        "input": "hi",
        "max_output_tokens": 2,
        "store": True,
        "truncation": "auto",
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tools": [],
        "tool_choice": "auto",
        "metadata": {"a": "b"},
        "previous_response_id": None,
    }
    answer = requests.post(f"{server}/v1/responses", json=body, timeout=60)

    assert answer.status_code == 200, answer.text
    named = set(answer.headers["X-Ignored-Fields"].split(", "))
    assert named == {"store", "truncation", "reasoning", "metadata", "text.verbosity"}


def broken(_: GenerationRequest) -> Iterable[str | EngineError]:
    yield "well"
    yield EngineError("The device ran out of memory.")


def cut(_: GenerationRequest) -> Iterable[str | Finished]:
    yield "half"
    yield Finished("cancelled", 2, 1, 1.0, 0.1)


@pytest.mark.parametrize(("script", "message"), [(broken, "ran out of memory"), (cut, "Ask again")])
def test_a_reply_that_fails_is_an_error_or_the_last_event(
    monkeypatch: pytest.MonkeyPatch, script: Any, message: str
) -> None:
    with serving_engine(ScriptedEngine(script), monkeypatch) as address:
        whole = requests.post(f"{address}/v1/responses", json={"input": "hi"}, timeout=60)
        stream = requests.post(f"{address}/v1/responses", json={"input": "hi", "stream": True}, timeout=60)

    assert whole.status_code == 500
    assert message in whole.json()["error"]["message"]
    *_, last, nothing = stream.text.split("\n\n")
    assert last.startswith("event: response.failed\ndata: ")
    assert nothing == ""
    response = json.loads(last.partition("data: ")[2])["response"]
    assert response["status"] == "failed"
    assert message in response["error"]["message"]
