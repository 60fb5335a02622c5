"""OpenAI's own client speaks the Responses API to the real server."""

import json
from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any, Literal

import openai
import pytest
import requests
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool as langchain_tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from components.api.openai.tools import CLOSE, OPEN
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


HOT = {"type": "object", "properties": {"hot": {"enum": [1]}}, "required": ["hot"], "additionalProperties": False}
SUN: Any = {"type": "function", "name": "sun", "strict": True, "parameters": HOT}
RAIN: Any = {"type": "function", "name": "rain", "description": "Does it?", "parameters": HOT, "strict": False}


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


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"sun", "rain"}),
        ({"type": "function", "name": "rain"}, {"rain"}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "sun"}]}, {"sun"}),
    ],
)
def test_a_required_or_named_function_is_called(client: openai.OpenAI, choice: Any, names: set[str]) -> None:
    response = client.responses.create(
        model=MODEL, input="?", tools=[SUN, RAIN], tool_choice=choice, parallel_tool_calls=False
    )

    [call] = response.output
    assert call.type == "function_call"
    assert call.name in names
    assert call.status == response.status == "completed"
    assert json.loads(call.arguments) == {"hot": 1}
    assert call.call_id != call.id
    assert response.output_text == ""
    assert response.parallel_tool_calls is False
    assert [told.to_dict() for told in response.tools] == [SUN, RAIN]
    assert response.to_dict()["tool_choice"] == choice


def test_the_clients_own_helpers_stream_and_parse_calls(client: openai.OpenAI) -> None:
    class Sun(BaseModel):
        hot: Literal[1]

    tools: Any = [openai.pydantic_function_tool(Sun, name="sun")["function"] | {"type": "function"}]
    fields: Any = {"model": MODEL, "input": "?", "tools": tools, "tool_choice": "required"}
    fields |= {"parallel_tool_calls": False}
    parsed: Any = client.responses.parse(**fields).output[0]
    assert parsed.parsed_arguments == {"hot": 1}
    with client.responses.stream(**fields) as stream:
        pieces = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
        [call] = stream.get_final_response().output
    assert call.type == "function_call"
    assert call.parsed_arguments == {"hot": 1}
    assert pieces[-1] == call.arguments


CALLS = [{"name": "sun", "arguments": {"hot": 1}}, {"name": "rain", "arguments": {"hot": 1}}]
MARKED = "\n".join(f"{OPEN}{json.dumps(call)}{CLOSE}" for call in CALLS)


def answered_by(text: str, monkeypatch: pytest.MonkeyPatch, finish: str = "stop", **fields: Any) -> list[Any]:
    """The events of a response whose reply is this text; the last one has the whole, which is the same unstreamed."""
    ending: Any = Finished(finish, 2, 1, 1.0, 0.1)  # type: ignore[arg-type]
    with (
        serving_engine(ScriptedEngine(lambda _: [*text, ending]), monkeypatch) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        whole = client.responses.create(model="Scripted-1B", input="?", **fields)
        events = list(client.responses.create(model="Scripted-1B", input="?", stream=True, **fields))

    def comparable(output: Any) -> list[Any]:
        return [{name: value for name, value in item.to_dict().items() if "id" not in name} for item in output]

    assert comparable(events[-1].response.output) == comparable(whole.output)
    assert events[-1].response.status == whole.status
    return events


def test_several_calls_are_items_with_events_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    events = answered_by(MARKED, monkeypatch, tools=[SUN, RAIN])
    kinds = [event.type.removeprefix("response.") for event in events]
    assert [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != before] == [
        "created",
        "in_progress",
        *["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"] * 2,
        "completed",
    ]
    output = events[-1].response.output
    assert [(item.type, item.name, item.status) for item in output] == [
        ("function_call", "sun", "completed"),
        ("function_call", "rain", "completed"),
    ]
    for index, item in enumerate(output):
        own = [event for event in events if getattr(event, "output_index", None) == index]
        pieces = [event.delta for event in own if event.type == "response.function_call_arguments.delta"]
        [done] = [event for event in own if event.type == "response.function_call_arguments.done"]
        assert "".join(pieces) == done.arguments == item.arguments == json.dumps({"hot": 1})
        assert {event.item_id for event in own if hasattr(event, "item_id")} == {item.id}
        assert {event.item.id for event in own if hasattr(event, "item")} == {item.id}
        assert own[0].item.arguments == ""
        assert own[-1].item == item


@pytest.mark.parametrize("text", ["It is hot.", "<tool", "", "<b>"])
def test_with_functions_a_text_is_a_message(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    events = answered_by(text, monkeypatch, tools=[SUN])
    [message] = events[-1].response.output

    assert message.type == "message"
    assert message.content[0].text == text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
    [done] = [event for event in events if event.type == "response.output_item.done"]
    assert done.item == message


def test_a_call_that_was_cut_short_is_an_incomplete_item(monkeypatch: pytest.MonkeyPatch) -> None:
    events = answered_by(MARKED[: -len("1}}" + CLOSE)], monkeypatch, finish="length", tools=[SUN, RAIN])
    response = events[-1].response

    assert response.status == "incomplete"
    assert [item.status for item in response.output] == ["completed", "incomplete"]
    assert response.output[1].arguments == '{"hot": '


def test_calls_and_what_they_brought_are_told_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine()
    calls = [{"type": "function_call", "id": "fc_1", "call_id": name, "name": name, "arguments": "{}"} for name in "ab"]
    items: list[Any] = [
        {"role": "user", "content": "?"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "So.", "annotations": []}],
        },
        *calls,
        {"type": "function_call_output", "call_id": "b", "output": "2", "status": "completed"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "1"}]},
        calls[0],
        {"type": "function_call_output", "call_id": "a", "output": "3"},
    ]
    with serving_engine(engine, monkeypatch) as address:
        answer = requests.post(f"{address}/v1/responses", json={"input": items, "tools": [SUN]}, timeout=60)

    assert answer.status_code == 200, answer.text
    first, second = (f'{OPEN}{{"name": "{name}", "arguments": {{}}}}{CLOSE}' for name in "ab")
    [system, *turns] = engine.requests[0].messages
    assert "sun" in system["content"]
    assert turns == [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": f"So.\n{first}\n{second}"},
        {"role": "user", "content": "<tool_response>1</tool_response>\n<tool_response>2</tool_response>"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "<tool_response>3</tool_response>"},
    ]


def test_tools_of_openais_are_no_matter_where_none_may_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine()
    with serving_engine(engine, monkeypatch) as address:
        body: Any = {"input": "?", "tools": [SUN, {"type": "web_search"}], "tool_choice": "none"}
        assert requests.post(f"{address}/v1/responses", json=body, timeout=60).status_code == 200

    assert engine.requests[0].messages == [{"role": "user", "content": "?"}]
    assert not engine.requests[0].sampling.has_form


def test_langchain_binds_tools_over_this_api(server: str) -> None:
    @langchain_tool
    def climb(metres: Literal[1, 2]) -> str:
        """Climb."""
        return f"{metres} m higher"

    chat = ChatOpenAI(base_url=f"{server}/v1", api_key=SecretStr("none"), model=MODEL, use_responses_api=True)
    # Strict: else a model that was never trained may add properties until its reply is as long as it may be.
    bound = chat.bind_tools([climb], tool_choice="required", parallel_tool_calls=False, strict=True)
    reply = bound.invoke("Up!")
    assert isinstance(reply, AIMessage)
    [call] = reply.tool_calls
    assert (call["name"], call["args"]["metres"] in (1, 2)) == ("climb", True)
    streamed = list(bound.stream("Up!"))
    whole = reduce(add, streamed[1:], streamed[0])
    assert isinstance(whole, AIMessage)
    assert [one["name"] for one in whole.tool_calls] == ["climb"]

    short = chat.model_copy(update={"max_tokens": 4})
    history: Any = [HumanMessage("Up!"), reply, climb.invoke(call)]
    answer = short.bind_tools([climb]).invoke(history)
    assert isinstance(answer, AIMessage)


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
        ({"tools": [SUN, {"type": "mcp", "server_label": "x", "server_url": "y"}]}, "tools"),
        ({"tools": [{"type": "custom", "name": "x"}], "tool_choice": "required"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [{}]}, "tools.0.type"),
        ({"tools": [SUN], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
        ({"tools": [SUN], "tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{**SUN, "parameters": {"type": "zzz"}}]}, "tools.0.parameters"),
        ({"tools": [SUN], "input": [{"role": "assistant", "content": "It"}]}, "tools"),
        ({"input": [{"type": "function_call", "name": "x"}]}, "input.0.call_id"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input.0.type"),
        ({"input": [{"type": "reasoning", "id": "x", "summary": []}]}, "input"),
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
