"""What agent frameworks send: a schema is followed to the letter, or refused with the keyword and where it stands."""

import json
from typing import Any

import jsonschema_rs
import pytest
import requests

from components.api.openai.schema_normalization import normalized

HI = [{"role": "user", "content": "?"}]


def strict(**properties: Any) -> dict[str, Any]:
    """An object as OpenAI's strict mode has it: everything is required, and nothing else allowed."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


NULL = {"type": "null"}
SHORT = {"type": "string", "maxLength": 4}
TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {"Node": strict(v={"enum": [1]}, next={"anyOf": [{"$ref": "#/$defs/Node"}, NULL]})},
}

FOLLOWED: dict[str, Any] = {
    "pydantic: an optional field": strict(a={"anyOf": [{"enum": ["x"]}, NULL], "default": None, "title": "A"}),
    "pydantic: an enum in $defs": {
        **strict(c={"$ref": "#/$defs/C"}),
        "$defs": {"C": {"enum": ["r", "g"], "title": "C"}},
    },
    "pydantic: a described reference": {
        **strict(c={"$ref": "#/$defs/C", "description": "Which."}),
        "$defs": {"C": {"type": "string", "const": "r"}},
    },
    "pydantic: a discriminated union": strict(
        pet={
            "oneOf": [strict(kind={"const": "cat"}), strict(kind={"const": "dog"})],
            "discriminator": {"propertyName": "kind", "mapping": {}},
        }
    ),
    "pydantic: a tuple": {
        "type": "array",
        "prefixItems": [{"enum": [1]}, {"enum": ["a"]}],
        "minItems": 2,
        "maxItems": 2,
    },
    "pydantic: a dictionary": {
        "type": "object",
        "patternProperties": {"^[ab]$": {"enum": [1]}},
        "additionalProperties": False,
    },
    "pydantic: bounds": strict(n={"type": "integer", "minimum": 3, "exclusiveMaximum": 9, "multipleOf": 2}),
    "pydantic: lengths": strict(s={"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[ab]+$"}),
    "pydantic: a date": strict(d={"type": "string", "format": "date"}),
    "pydantic: a UUID": strict(u={"type": "string", "format": "uuid"}),
    "pydantic: two models of one": {"allOf": [strict(a={"enum": [1]})], "title": "A"},
    "instructor: a list of models": {
        **strict(tasks={"type": "array", "items": {"$ref": "#/$defs/T"}, "minItems": 1, "maxItems": 2}),
        "$defs": {"T": strict(n={"enum": [1, 2]})},
    },
    "zod: a draft-07 schema": {"$schema": "http://json-schema.org/draft-07/schema#", **strict(a={"type": "boolean"})},
    "zod: a nullable type": strict(a={"type": ["boolean", "null"]}),
    "zod: definitions": {**strict(a={"$ref": "#/definitions/a"}), "definitions": {"a": {"enum": [1]}}},
    "nested arrays": strict(
        m={"type": "array", "items": {"type": "array", "items": {"enum": [0]}, "maxItems": 2}, "maxItems": 2}
    ),
    "an identifier": {"$id": "https://example.com/a", **strict(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"enum": [1]}}},
    "words of others": {**strict(a={"enum": [1], "x-order": 1}), "nullable": False, "propertyOrdering": ["a"]},
    "a property called $ref": strict(**{"$ref": {"enum": ["#/x"]}}),
    "data that look like a reference": strict(a={"const": {"$ref": "#/x"}}),
    "one recursion": TREE,
    "a recursion to the root": strict(v={"enum": [1]}, rest={"type": "array", "items": {"$ref": "#"}, "maxItems": 1}),
    "no properties": strict(),
    "zod: a record": strict(
        r={
            "type": "object",
            "propertyNames": {"type": "string"},
            "additionalProperties": {"enum": [1]},
            "maxProperties": 1,
        }
    ),
    "pydantic: a dictionary of literals": strict(
        d={"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"enum": [1]}}
    ),
    "names of a length": {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": 2},
        "additionalProperties": {"enum": [1]},
        "maxProperties": 2,
    },
    "numbers and nulls as others write them": strict(
        a={"type": "array", "items": {"enum": [1]}, "minItems": 1.0, "maxItems": 2.0, "enum": None, "required": None}
    ),
    "names in Chinese": {**strict(城={"$ref": "#/$defs/城市"}), "$defs": {"城市": {"enum": ["北京"]}}},
    "names with brackets": {**strict(a={"$ref": "#/$defs/Box[int]"}), "$defs": {"Box[int]": {"enum": [1]}}},
    "a description with grammar in it": {**strict(a={"enum": ["::= #"]}), "description": 'start: "\n/x/ ::= // #'},
}


def sent(way: str, schema: Any, **fields: Any) -> tuple[str, dict[str, Any]]:
    """The path and the body that ask for a schema in one of the ways that there are."""
    chat = "/v1/chat/completions"
    function = {"name": "f", "parameters": schema, "strict": True}
    format_ = {"type": "json_schema", "name": "r", "schema": schema, "strict": True}
    match way:
        case "response_format":
            return chat, {"messages": HI, "response_format": {"type": "json_schema", "json_schema": format_}, **fields}
        case "guided_json":
            return chat, {"messages": HI, "guided_json": json.dumps(schema), **fields}
        case "text.format":
            return "/v1/responses", {"input": "?", "text": {"format": format_}, **fields}
        case "named tool":
            choice = {"type": "function", "function": {"name": "f"}}
            tools = [{"type": "function", "function": function}]
            return chat, {"messages": HI, "tools": tools, "tool_choice": choice, **fields}
    tools = [{"type": "function", **function}]
    return "/v1/responses", {"input": "?", "tools": tools, **fields}


def written(answer: requests.Response) -> str | None:
    """What was written in the form, from either API; None if the reply was ended before it."""
    body = answer.json()
    if "choices" not in body:
        [item] = body["output"]
        text = item.get("arguments") or item["content"][0]["text"]
        return str(text) if body["status"] == "completed" else None
    [choice] = body["choices"]
    message = choice["message"]
    text = message["tool_calls"][0]["function"]["arguments"] if "tool_calls" in message else message["content"]
    return str(text) if choice["finish_reason"] != "length" else None


@pytest.mark.parametrize("way", ["text.format", "named tool"])
@pytest.mark.parametrize("name", FOLLOWED)
def test_a_schema_is_followed_to_the_letter(server: str, name: str, way: str) -> None:
    schema = FOLLOWED[name]
    assert not normalized(schema).left_out
    if way == "named tool" and schema.get("type") != "object":
        schema = strict(it=schema) if "$defs" not in schema else schema
    texts = set()
    for seed in range(5):
        path, body = sent(way, schema, temperature=1.2, seed=seed)
        answer = requests.post(server + path, json=body, timeout=60)
        if way == "named tool" and answer.status_code == 400:
            assert answer.json()["error"]["code"] == "context_length_exceeded"  # the tiny model reads 256 tokens
            assert len(json.dumps(schema)) > 200
            return
        assert answer.status_code == 200, answer.text
        texts.add(written(answer))
        if len(texts - {None}) == 2:
            break

    assert texts - {None}
    for text in texts - {None}:
        jsonschema_rs.validate(normalized(schema).schema, json.loads(str(text)), validate_formats=True)


LEFT_OUT: dict[str, Any] = {
    "format": {"type": "string", "maxLength": 4, "format": "path"},
    "uniqueItems": {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True},
    "pattern": {"type": "string", "pattern": "^(?!x)[ab]{1,3}$"},
}


@pytest.mark.parametrize(
    ("way", "field"),
    [
        ("response_format", "response_format.json_schema.schema"),
        ("guided_json", "guided_json"),
        ("text.format", "text.format.schema"),
        ("named tool", "tools.0.function.parameters"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("keyword", LEFT_OUT)
def test_what_of_a_schema_is_not_held_to_is_named(
    server: str, keyword: str, way: str, field: str, *, stream: bool
) -> None:
    path, body = sent(way, strict(a=LEFT_OUT[keyword]), stream=stream)
    answer = requests.post(server + path, json=body, timeout=60)

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Notes"] == f"The reply is not held to {field}#/properties/a/{keyword}"


def test_no_more_of_a_schema_is_named_than_a_header_holds(server: str) -> None:
    properties = {f"p{i}": {"type": "string", "format": "é\nü"} for i in range(60)} | {"城": {"format": "x"}}
    path, body = sent("guided_json", strict(**properties), max_tokens=4)
    answer = requests.post(server + path, json=body, timeout=60)

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Notes"].endswith("#/properties/p31/format, ...")


LOOPS = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}

REFUSED: dict[str, tuple[Any, list[str]]] = {
    "contains": (strict(a=strict(b={"type": "array", "contains": SHORT})), ["contains", "#/properties/a/properties/b"]),
    "not": (strict(a={"not": NULL}), ["not", "#/properties/a"]),
    "if": ({**strict(a=SHORT), "if": {"required": ["a"]}, "then": {"minProperties": 1}}, ["if", "then"]),
    "a pattern that is none": (strict(a={"type": "string", "pattern": "(?=x)("}), ["unclosed", "#/properties/a"]),
    "dependencies": ({**strict(a=SHORT), "dependentRequired": {"a": ["b"]}}, ["dependentRequired"]),
    "within a definition": (
        {**strict(a={"$ref": "#/$defs/T"}), "$defs": {"T": strict(b={"type": "array", "contains": SHORT})}},
        ["contains", "#/$defs/T/properties/b"],
    ),
    "within an array": (
        strict(a={"type": "array", "items": {"anyOf": [NULL, {"not": NULL}]}}),
        ["not", "#/properties/a/items/anyOf/1"],
    ),
    "overlapping oneOf": (strict(a={"oneOf": [SHORT, {"type": "string"}]}), ["oneOf", "#/properties/a"]),
    "an unknown type": (strict(a={"type": "money"}), ["money", "#/properties/a"]),
    "nothing fits": (strict(a={"type": "integer", "minimum": 3, "maximum": 2}), ["'a'"]),
    "a reference to nothing": (strict(a={"$ref": "#/$defs/Q"}), ["$defs/Q"]),
    "a reference elsewhere": (strict(a={"$ref": "https://example.com/a.json"}), ["https://example.com/a.json"]),
    "a reference to itself": ({"$ref": "#"}, ['"#"']),
    "references in a circle": (LOOPS, ["#/$defs/"]),
    "an endless list": (
        {"$ref": "#/$defs/N", "$defs": {"N": strict(next={"$ref": "#/$defs/N"})}},
        ["#/$defs/N", "back to itself"],
    ),
    "only endless alternatives": (
        {
            **strict(a={"$ref": "#/$defs/N"}),
            "$defs": {"N": {"anyOf": [{"$ref": "#/$defs/N"}, strict(b={"$ref": "#/$defs/N"})]}},
        },
        ["#/$defs/N", "back to itself"],
    ),
    "too long": (strict(a={"enum": ["x" * 70_000]}), ["65536"]),
}


@pytest.mark.parametrize(
    ("way", "field"),
    [
        ("response_format", "response_format.json_schema.schema"),
        ("text.format", "text.format.schema"),
        ("named tool", "tools.0.function.parameters"),
        ("functions", "tools.0.parameters"),
    ],
)
@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_that_cannot_be_followed_is_refused_by_keyword_and_place(
    server: str, name: str, way: str, field: str
) -> None:
    schema, said = REFUSED[name]
    if "tool" in field and "type" not in schema:
        schema = strict(it=schema) if "$defs" not in schema else schema
    path, body = sent(way, schema)
    answer = requests.post(server + path, json=body, timeout=60)
    error = answer.json()["error"]

    assert answer.status_code == 400, answer.text
    if error["code"] == "context_length_exceeded":
        assert len(json.dumps(schema)) > 200  # the tiny model reads 256 tokens
        return
    assert field.startswith(error["param"])
    for word in said:
        assert word in error["message"].replace('\\"', '"')


@pytest.mark.parametrize("depth", [20, 100, 190, 1000, 100_000])
@pytest.mark.parametrize("way", ["response_format", "guided_json", "named tool"])
def test_a_schema_in_a_schema_in_a_schema_is_no_crash(server: str, way: str, depth: int) -> None:
    path, body = sent(way, "DEEP", max_tokens=4)
    inner = '{"type": "array", "items": ' * depth + "{}" + "}" * depth
    deep = json.dumps(inner) if way == "guided_json" else inner
    text = json.dumps(body).replace(json.dumps(json.dumps("DEEP")), deep).replace('"DEEP"', deep)
    answer = requests.post(server + path, data=text, headers={"Content-Type": "application/json"}, timeout=60)

    assert answer.status_code in (200, 400, 413), answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"guided_regex": "(a{1000}){1000}"}, id="a regex that grows"),
        pytest.param({"guided_regex": "(?:a|b|ab)*c{0,900}[^x]{900}"}, id="a regex with many states"),
        pytest.param({"guided_json": {"type": "array", "items": {"enum": [1]}, "minItems": 10**9}}, id="a long array"),
        pytest.param({"guided_json": {"type": "string", "minLength": 10**9}}, id="a long text"),
        pytest.param({"guided_json": {"enum": [f"{i}-{'x' * (i % 50)}" for i in range(900)]}}, id="a large enum"),
        pytest.param({"guided_choice": [f"{i}" for i in range(5000)]}, id="many choices"),
        pytest.param({"guided_json": strict(**{f"p{i}": {"enum": [i]} for i in range(300)})}, id="many properties"),
        pytest.param({"guided_json": {"anyOf": [strict(a={"const": i}) for i in range(300)]}}, id="many alternatives"),
    ],
)
def test_a_form_that_is_much_is_followed_or_refused(server: str, fields: dict[str, Any]) -> None:
    body = {"messages": HI, "max_tokens": 8, **fields}
    answer = requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)

    assert answer.status_code in (200, 400), answer.text
