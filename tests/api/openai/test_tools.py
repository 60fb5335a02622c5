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
from llguidance import LLMatcher, LLTokenizer
from pydantic import BaseModel, SecretStr

from components.api.openai.structured_outputs import of_schema
from components.api.openai.tool_calls import ToolCallReader
from components.api.openai.tools import CLOSE, MOST_CALLS, OPEN, Function, Offer
from components.sampling.forms import JSON_OPTIONS
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
NAME_SUN: Any = {"type": "function", "function": {"name": "sun"}}
WALK: Any = tool("walk", to={"$ref": "#/$defs/D"})
WALK["function"]["parameters"]["$defs"] = {"D": {"enum": ["N", "S"]}}
ALLOWED = {"sun": {"hot"}, "time": {"zone"}, "walk": {"to"}}


def assert_calls(choice: Any, names: set[str], most: int) -> None:
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert 1 <= len(choice.message.tool_calls) <= most
    for call in choice.message.tool_calls:
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
    fields: Any = {"parallel_tool_calls": False} if choice == "required" else {}
    answer = client.chat.completions.create(model=MODEL, messages=HI, tools=tools, tool_choice=choice, **fields)

    assert_calls(answer.choices[0], names, most=1)


def test_a_streamed_call_is_the_same_in_pieces(client: openai.OpenAI) -> None:
    fields: Any = {"model": MODEL, "messages": HI, "tools": [SUN, TIME], "tool_choice": "required", "seed": 3}
    fields |= {"parallel_tool_calls": False, "max_tokens": 40}
    whole = client.chat.completions.create(**fields).choices[0].message.tool_calls
    chunks = list(client.chat.completions.create(stream=True, **fields))
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


def accepts(grammar: str, text: str) -> bool:
    """Whether a reply that follows the grammar can be this text."""
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar), log_level=0)
    return bool(matcher.consume_tokens(list(text.encode())) and matcher.is_accepting())


@pytest.mark.parametrize("most", [1, MOST_CALLS])
@pytest.mark.parametrize("text", [None, {"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]}])
def test_with_auto_the_grammar_lets_so_many_calls_through_and_no_other_text_with_marks(
    most: int, text: dict[str, Any] | None
) -> None:
    function = Function(**TIME["function"])
    form = None if text is None else of_schema(text, "response_format")
    grammar = Offer({"tools.0": function}, must_call=False, most=most).constraint(form).grammar
    assert grammar is not None
    call = call_text("time", {"zone": "CET"})

    for count in range(1, MOST_CALLS + 2):
        assert accepts(grammar, in_form([call] * count, "marked")) == (count <= most)
    for wrong in (call.replace("CET", "EST"), call.replace("time", "sun"), "{}", ""):
        assert not accepts(grammar, in_form([wrong], "marked"))
    assert not accepts(grammar, f"{in_form([call], 'marked')} So.")
    assert accepts(grammar, "It is noon.") == (text is None)
    assert accepts(grammar, '{"a": 1}')
    assert not accepts(grammar, f"{OPEN} is a mark")


NAMES = ["查询天气", "météo", "a.b-c", "v1"]


@pytest.mark.parametrize("must_call", [True, False])
@pytest.mark.parametrize("most", [1, 2])
def test_a_function_may_have_any_name_that_is_taken(server: str, most: int, *, must_call: bool) -> None:
    offered = [tool(name, city={"$ref": "#/$defs/城市"}) for name in NAMES]
    for one in offered:
        one["function"]["parameters"]["$defs"] = {"城市": {"enum": ["北京"]}}
    functions = {f"tools.{i}.function": Function(**one["function"]) for i, one in enumerate(offered)}
    form = Offer(functions, must_call=must_call, most=most).constraint(None)
    for name in NAMES:
        call = f'{{"name": "{name}", "arguments": {{"city": "北京"}}}}'
        if form.grammar is not None:
            assert accepts(form.grammar, f"{OPEN}{call}{CLOSE}")
        else:
            lark = f"start: %json {json.dumps({**json.loads(form.json_schema or ''), 'x-guidance': JSON_OPTIONS})}"
            assert accepts(lark, f"[{call}]" if most > 1 else call)

    body: dict[str, Any] = {"messages": HI, "max_tokens": 4, "tools": offered[:1], "parallel_tool_calls": most > 1}
    body["tool_choice"] = "required" if must_call else "auto"
    answer = requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text


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
        assert_calls(choice, {"time"}, 1)
    else:
        assert (choice.message.content, choice.finish_reason) == (text, "stop")
        assert not choice.message.tool_calls
    [request] = engine.requests
    assert request.messages[0]["role"] == "system"
    assert "time" in request.messages[0]["content"]
    assert request.sampling.grammar is not None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("choice", "form"), [("auto", "marked"), ("required", "list")])
def test_several_calls_of_one_reply_are_told_one_by_one(
    monkeypatch: pytest.MonkeyPatch, stream: bool, choice: Any, form: str
) -> None:
    zones = ["CET", "UTC", "CET"]
    text = in_form([call_text("time", {"zone": zone}) for zone in zones], form)
    with (
        serving_engine(ScriptedEngine(lambda _: list(text)), monkeypatch) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        fields: Any = {"model": "Scripted-1B", "messages": HI, "tools": [TIME], "tool_choice": choice}
        if stream:
            with client.chat.completions.stream(**fields) as events:
                answer = events.get_final_completion().choices[0]
        else:
            answer = client.chat.completions.create(**fields).choices[0]

    assert_calls(answer, {"time"}, 3)
    calls: Any = answer.message.tool_calls
    assert [json.loads(call.function.arguments)["zone"] for call in calls] == zones
    assert len({call.id for call in calls}) == 3


def test_a_reply_calls_as_often_as_the_grammar_lets_it(client: openai.OpenAI) -> None:
    some: Any = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAME_SUN]}}
    fields: Any = {"model": MODEL, "messages": HI, "tools": [SUN, TIME], "temperature": 2, "top_p": 1}
    counts = []
    for seed in range(4):
        for choice in ["required", some]:
            choices: Any = client.chat.completions.create(tool_choice=choice, seed=seed, **fields).choices
            calls = choices[0].message.tool_calls
            assert choice == "required" or {call.function.name for call in calls} == {"sun"}
            counts.append(len(calls))

    assert 1 < max(counts) <= MOST_CALLS


def test_what_tools_answered_is_one_turn_in_the_order_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [
        {
            "id": f"call_{zone}",
            "type": "function",
            "function": {"name": "time", "arguments": json.dumps({"zone": zone})},
        }
        for zone in ("CET", "UTC", "EST")
    ]
    messages: list[Any] = [
        *HI,
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_EST", "content": "six"},
        {"role": "tool", "tool_call_id": "call_CET", "content": [{"type": "text", "text": "noon"}]},
        {"role": "tool", "tool_call_id": "call_UTC", "content": "eleven"},
        {"role": "assistant", "content": "It is noon."},
        {"role": "user", "content": "Thanks"},
    ]
    engine = ScriptedEngine()
    with serving_engine(engine, monkeypatch) as address:
        answer = requests.post(f"{address}/v1/chat/completions", json={"messages": messages}, timeout=60)

    assert answer.status_code == 200, answer.text
    [request] = engine.requests
    assert [turn["role"] for turn in request.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert request.messages[1]["content"].startswith(f"Let me see.\n{OPEN}")
    answers = [f"<tool_response>{text}</tool_response>" for text in ("noon", "eleven", "six")]
    assert request.messages[2]["content"] == "\n".join(answers)


CALL = {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
NOON = {"role": "tool", "tool_call_id": "call_1", "content": "noon"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [*HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, NOON]}, None),
        ({"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}, NOON]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": "", "tool_calls": [CALL]}, NOON, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]}, NOON, NOON]}, None),
        ({"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}, NOON] * 2}, None),
        ({"messages": [*HI, {"role": "assistant", "content": "x", "tool_calls": []}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": "x", "function_call": None}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, NOON]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": None}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant"}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": []}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": ""}]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": None, "tool_calls": []}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": None, "refusal": "No."}, *HI]}, None),
        ({"messages": [*HI, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, *HI]}, None),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0"),
        ({"messages": [{"role": "system", "content": None}, *HI]}, "messages.0"),
        ({"messages": [*HI, {"role": "assistant", "tool_calls": [{"id": "x"}]}]}, "messages.1.tool_calls.0.function"),
        ({"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}, {**NOON, "content": None}]}, None),
        ({"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}, {**NOON, "content": []}]}, None),
        (
            {"messages": [{"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}]},
            "messages.0.function_call",
        ),
        ({"messages": [*HI, {"role": "function", "name": "f", "content": "noon"}]}, "messages.1.role"),
        ({"messages": HI, "functions": [TIME["function"]]}, "functions"),
        ({"messages": HI, "functions": [TIME["function"]], "function_call": {"name": "time"}}, "functions"),
        ({"messages": HI, "functions": [TIME["function"]], "function_call": "none"}, None),
        ({"messages": HI, "functions": [], "function_call": "auto"}, None),
    ],
    ids=json.dumps,
)
def test_histories_with_calls_are_taken_or_refused_by_name(
    server: str, body: dict[str, Any], param: str | None
) -> None:
    answer = requests.post(f"{server}/v1/chat/completions", json={"max_tokens": 2, **body}, timeout=60)

    assert answer.status_code == (200 if param is None else 400), answer.text
    if param is not None:
        assert answer.json()["error"]["param"] == param
        assert param in answer.json()["error"]["message"]


@pytest.mark.parametrize("choice", ["required", "auto", "none"])
@pytest.mark.parametrize("most", [0, 1, 2, 20])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_reply_however_short_can_be_sent_back_as_it_came(
    monkeypatch: pytest.MonkeyPatch, path: str, choice: str, most: int
) -> None:
    whole = f"[{call_text('time', {'zone': 'CET'})}]" if choice == "required" else OPEN
    engine = ScriptedEngine(lambda _: [whole[: most * 4]])
    is_chat = "chat" in path
    offered: Any = TIME if is_chat else {"type": "function", **TIME["function"]}
    asked = "messages" if is_chat else "input"
    with serving_engine(engine, monkeypatch) as address:
        body = {asked: HI, "tools": [offered], "tool_choice": choice}
        answer = requests.post(address + path, json=body, timeout=60).json()
        reply = [answer["choices"][0]["message"]] if is_chat else answer["output"]
        if is_chat:
            assert (reply[0]["content"] is None) == bool(reply[0].get("tool_calls"))
        again = requests.post(address + path, json=body | {asked: [*HI, *reply, *HI]}, timeout=60)

    assert again.status_code == 200, again.text


@pytest.mark.parametrize("output", [None, "", []])
def test_a_function_may_have_answered_nothing(server: str, output: Any) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "time", "arguments": "{}"}
    items = [*HI, call, {"type": "function_call_output", "call_id": "c", "output": output}]
    answer = requests.post(f"{server}/v1/responses", json={"input": items, "max_output_tokens": 2}, timeout=60)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "No."),
        ({"content": [{"type": "text", "text": "Yes."}], "refusal": None}, "Yes."),
        ({}, ""),
    ],
)
def test_what_another_model_refused_is_part_of_the_conversation(
    monkeypatch: pytest.MonkeyPatch, message: dict[str, Any], told: str
) -> None:
    engine = ScriptedEngine()
    with serving_engine(engine, monkeypatch) as address:
        body = {"messages": [*HI, {"role": "assistant", **message}, *HI]}
        assert requests.post(f"{address}/v1/chat/completions", json=body, timeout=60).status_code == 200

    assert engine.requests[0].messages[1] == {"role": "assistant", "content": told}


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
        ({"tools": [TIME], "guided_json": "{"}, "guided_json"),
        ({"tools": [TIME], "guided_json": "5"}, "guided_json"),
        ({"tools": [TIME], "messages": [*HI, {"role": "assistant", "content": "It"}]}, "tools"),
        ({"tools": [tool("f", a={"type": "nothing"})], "tool_choice": "required"}, "tools.0.function.parameters"),
        ({"tools": [SUN, tool("f", a={"type": "nothing"})]}, "tools.1.function.parameters"),
        ({"tools": [TIME], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [TIME], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [TIME], "parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"tools": [tool("f", a={"description": "x" * 70_000})]}, "tools"),
    ],
)
def test_tools_that_cannot_be_called_are_refused(server: str, fields: dict[str, Any], param: str) -> None:
    body: dict[str, Any] = {"messages": HI, "max_tokens": 8} | fields
    answer = requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


TEXTS = st.text(alphabet='ab{}[],:"<>/\\ 好', max_size=12)
OBJECTS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.dictionaries(TEXTS, TEXTS) | st.lists(TEXTS, max_size=2))


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def in_form(texts: list[str], form: str) -> str:
    """Calls, as a reply has them."""
    match form:
        case "one":
            return texts[0]
        case "list":
            return f"[{', '.join(texts)}]"
    return "\n".join(f"{OPEN}{text}{CLOSE}" for text in texts)


@given(values=st.lists(OBJECTS | TEXTS | st.integers(), min_size=1, max_size=3), places=st.lists(st.integers(0, 500)))
@settings(max_examples=200, deadline=None, derandomize=True)
@pytest.mark.parametrize("form", ["one", "list", "marked"])
def test_however_calls_come_in_pieces_their_arguments_are_read(form: str, values: list[Any], places: list[int]) -> None:
    values = values[:1] if form == "one" else values
    text = in_form([call_text(f"f{i}", value) for i, value in enumerate(values)], form)
    reader = ToolCallReader(must_call=form != "marked")
    told = [reader.push(piece) for piece in cut(text, places)]
    pieces = [piece for _, pieces in told for piece in pieces]

    assert "".join(said for said, _ in told) + reader.finish() == ""
    assert [piece.name for piece in pieces if piece.name] == [f"f{i}" for i in range(len(values))]
    assert [piece.index for piece in pieces] == sorted(piece.index for piece in pieces)
    for index, value in enumerate(values):
        own = [piece for piece in pieces if piece.index == index]
        assert "".join(piece.arguments for piece in own) == json.dumps(value)
        assert [piece.is_last for piece in own] == [False] * (len(own) - 1) + [True]
        assert len({piece.id for piece in own}) == 1
    assert len({piece.id for piece in pieces}) == len(values)


@given(text=st.text(alphabet="<tool_call>ab ", max_size=20), places=st.lists(st.integers(0, 50)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_however_a_text_comes_in_pieces_it_is_told_whole(text: str, places: list[int]) -> None:
    if text.startswith(OPEN):
        return
    reader = ToolCallReader(must_call=False)
    pieces = [reader.push(piece) for piece in cut(text, places)]

    assert "".join(said for said, _ in pieces) + reader.finish() == text
    assert not any(calls for _, calls in pieces)


def test_a_call_that_was_cut_short_is_told_as_far_as_it_came() -> None:
    reader = ToolCallReader(must_call=True)
    [piece] = reader.push('{"name": "f", "arguments": {"a": {"b": 1}')[1]

    assert (piece.arguments, piece.is_last) == ('{"a": {"b": 1}', False)
    assert reader.finish() == ""


def test_a_text_that_cannot_become_a_call_is_told_at_once() -> None:
    reader = ToolCallReader(must_call=False)

    assert [reader.push(piece)[0] for piece in ("<tool", "bar> is", " a word")] == ["", "<toolbar> is", " a word"]
