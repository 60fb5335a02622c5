"""OpenAI's own client offers tools to the real server, and to a scripted one that calls them as it is told."""

import json
from itertools import pairwise
from typing import Any

import openai
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from components.api.openai.tools import CLOSE, OPEN, ToolCallReader
from tests.api.scripted_server import serving_engine
from tests.scripted_engine import ScriptedEngine

MODEL = "baichuan2-7b-tiny"
HI: list[Any] = [{"role": "user", "content": "?"}]


def tool(name: str, **properties: Any) -> Any:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


SUN = tool("sun", hot={"enum": [1]})
TIME = tool("time", zone={"enum": ["CET", "UTC"]})
WALK: Any = tool("walk", to={"$ref": "#/$defs/D"})
WALK["function"]["parameters"]["$defs"] = {"D": {"enum": ["N", "S"]}}
ALLOWED = {"sun": {"hot"}, "time": {"zone"}, "walk": {"to"}}


def assert_is_a_call(choice: Any, names: set[str]) -> None:
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name in names
    assert json.loads(call.function.arguments).keys() == ALLOWED[call.function.name]


@pytest.mark.parametrize(
    ("tools", "choice", "names"),
    [
        ([SUN, WALK], "required", {"sun", "walk"}),
        ([SUN, TIME, WALK], {"type": "function", "function": {"name": "time"}}, {"time"}),
        ([SUN, TIME, WALK], {"type": "function", "function": {"name": "walk"}}, {"walk"}),
    ],
)
def test_a_required_or_named_tool_is_called(
    client: openai.OpenAI, tools: list[Any], choice: Any, names: set[str]
) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HI, tools=tools, tool_choice=choice, max_tokens=40)

    assert_is_a_call(answer.choices[0], names)


def test_a_streamed_call_is_the_same_in_pieces(client: openai.OpenAI) -> None:
    fields: Any = {"model": MODEL, "messages": HI, "tools": [SUN, TIME], "tool_choice": "required", "seed": 3}
    whole = client.chat.completions.create(max_tokens=40, **fields).choices[0].message.tool_calls
    chunks = list(client.chat.completions.create(max_tokens=40, stream=True, **fields))
    pieces = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or ()]

    assert whole is not None
    called: Any = whole[0]
    assert pieces[0].function is not None
    assert pieces[0].id
    assert pieces[0].function.name == called.function.name
    assert not any(piece.id or (piece.function and piece.function.name) for piece in pieces[1:])
    assert "".join(piece.function.arguments or "" for piece in pieces if piece.function) == called.function.arguments
    assert not any(choice.delta.content for chunk in chunks for choice in chunk.choices)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_langchain_gets_structured_output_by_a_tool(server: str) -> None:
    class Bird(BaseModel):
        flies: bool

    chat = ChatOpenAI(base_url=f"{server}/v1", api_key=SecretStr("none"), model=MODEL, max_completion_tokens=48)
    bird = chat.with_structured_output(Bird, method="function_calling").invoke("Does it fly?")
    assert isinstance(bird, Bird)


def test_with_auto_the_real_model_answers_with_a_text_or_a_call(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=HI, tools=[TIME], max_tokens=24, temperature=1.5, n=4, seed=1
    )

    for choice in answer.choices:
        assert choice.message.content or choice.message.tool_calls
        assert not (choice.message.content or "").startswith(OPEN)


def call_text(name: str, arguments: Any) -> str:
    return json.dumps({"name": name, "arguments": arguments})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("is_call", [False, True])
def test_with_auto_a_reply_is_a_text_or_a_call(monkeypatch: pytest.MonkeyPatch, stream: bool, is_call: bool) -> None:
    text = f"{OPEN}{call_text('time', {'zone': 'CET'})}{CLOSE}" if is_call else "<b>It</b> is warm."
    engine = ScriptedEngine(lambda _: list(text))
    with (
        serving_engine(engine, monkeypatch) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        fields: Any = {"model": "Scripted-1B", "messages": HI, "tools": [TIME, SUN]}
        if stream:
            with client.chat.completions.stream(**fields) as events:
                choice = events.get_final_completion().choices[0]
        else:
            choice = client.chat.completions.create(**fields).choices[0]

    if is_call:
        assert_is_a_call(choice, {"time"})
    else:
        assert (choice.message.content, choice.finish_reason) == (text, "stop")
        assert not choice.message.tool_calls
    [request] = engine.requests
    assert request.messages[0]["role"] == "system"
    assert "time" in request.messages[0]["content"]
    assert request.sampling.grammar is not None


def test_calls_and_what_they_brought_are_told_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": '{"zone": "CET"}'}}
    messages: list[Any] = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    ]
    engine = ScriptedEngine()
    with serving_engine(engine, monkeypatch) as address:
        answer = requests.post(f"{address}/v1/chat/completions", json={"messages": messages}, timeout=60)

    assert answer.status_code == 200, answer.text
    [request] = engine.requests
    assert request.messages == [
        *HI,
        {"role": "assistant", "content": f"{OPEN}{call_text('time', {'zone': 'CET'})}{CLOSE}"},
        {"role": "user", "content": "<tool_response>noon</tool_response>"},
    ]


def test_with_none_the_model_hears_of_no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine()
    with serving_engine(engine, monkeypatch) as address:
        body: dict[str, Any] = {"messages": HI, "tools": [TIME], "tool_choice": "none"}
        assert requests.post(f"{address}/v1/chat/completions", json=body, timeout=60).status_code == 200

    assert engine.requests[0].messages == HI
    assert engine.requests[0].sampling.grammar is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [tool("a b")]}, "tools.0.function.name"),
        ({"tools": [TIME, TIME]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tools": [TIME], "guided_regex": "a"}, "tools"),
        ({"tools": [TIME], "messages": [*HI, {"role": "assistant", "content": "It"}]}, "tools"),
        ({"tools": [tool("f", a={"type": "nothing"})], "tool_choice": "required"}, "response_format"),
    ],
)
def test_tools_that_cannot_be_called_are_refused(server: str, fields: dict[str, Any], param: str) -> None:
    body: dict[str, Any] = {"messages": HI, "max_tokens": 8} | fields
    answer = requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


TEXTS = st.text(alphabet='ab{}"<>/\\ 好', max_size=12)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(value=st.dictionaries(TEXTS, TEXTS | st.dictionaries(TEXTS, TEXTS)), places=st.lists(st.integers(0, 500)))
@settings(max_examples=200, deadline=None, derandomize=True)
@pytest.mark.parametrize("must_call", [False, True])
def test_however_a_call_comes_in_pieces_its_arguments_are_read(
    must_call: bool, value: dict[str, Any], places: list[int]
) -> None:
    text = call_text("f", value)
    reader = ToolCallReader(must_call=must_call)
    pieces = [reader.push(piece) for piece in cut(text if must_call else f"{OPEN}{text}{CLOSE}", places)]
    pieces.append(reader.finish())
    calls = [call for _, calls in pieces for call in calls]

    assert [call["function"].get("name") for call in calls if "id" in call] == ["f"]
    assert "".join(call["function"]["arguments"] for call in calls) == json.dumps(value)
    assert not any(said for said, _ in pieces)


@given(text=st.text(alphabet="<tool_call>ab ", max_size=20), places=st.lists(st.integers(0, 50)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_however_a_text_comes_in_pieces_it_is_told_whole(text: str, places: list[int]) -> None:
    if text.startswith(OPEN):
        return
    reader = ToolCallReader(must_call=False)
    pieces = [*map(reader.push, cut(text, places)), reader.finish()]

    assert "".join(said for said, _ in pieces) == text
    assert not any(calls for _, calls in pieces)


def test_a_call_that_was_cut_short_is_told_as_far_as_it_came() -> None:
    reader = ToolCallReader(must_call=True)
    calls = [*reader.push('{"name": "f", "arguments": {"a": {"b": 1}')[1], *reader.finish()[1]]

    assert "".join(call["function"]["arguments"] for call in calls) == '{"a": {"b": 1}'


def test_a_text_that_cannot_become_a_call_is_told_at_once() -> None:
    reader = ToolCallReader(must_call=False)

    assert [reader.push(piece)[0] for piece in ("<tool", "bar> is", " a word")] == ["", "<toolbar> is", " a word"]
