"""Which JSON schemas are refused at once: those without an end, and those that are too deep to be read."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from components.api.openai import json_schemas, structured_outputs
from components.api.openai.chat_request import ChatCompletionRequest
from components.api.openai.json_schemas import DEEPEST, WrittenSchema
from components.api.openai.schema_normalization import NormalSchema, normalized

READ = TypeAdapter(WrittenSchema)
NUMBER = {"type": "integer"}


def needing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def ref(name: object) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def refused(schema: object) -> str | None:
    try:
        READ.validate_python(schema)
    except ValidationError as error:
        return str(error)
    return None


class Inner(BaseModel):
    value: JsonValue


class Outer(BaseModel):
    inner: Inner


@pytest.mark.parametrize(
    "schema",
    [
        Outer.model_json_schema(),
        {**ref("A"), "$defs": {"A": {}}},
        {**ref("A"), "$defs": {"A": ref("B"), "B": {}}},
        {**ref("A"), "$defs": {"A": needing(a={"anyOf": [ref("A"), {}]})}},
        {**ref("A"), "$defs": {"A": {"type": "array", "items": ref("A")}}},
        {**ref("A"), "$defs": {"A": ref("nowhere")}},
        needing(a={"anyOf": [{"$ref": "#"}, NUMBER]}),
    ],
    ids=json.dumps,
)
def test_references_with_an_end_are_followed(schema: dict[str, Any]) -> None:
    assert refused(schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        {**ref("A"), "$defs": {"A": ref("A")}},
        {**ref("A"), "$defs": {"A": needing(b=ref("B")), "B": {"type": "array", "items": ref("A"), "minItems": 1}}},
        {**ref("A"), "$defs": {"A": {"allOf": [{}, {"anyOf": [ref("A"), needing(a=ref("A"))]}]}}},
        {**ref("A"), "$defs": {"A": {"anyOf": [{}], "oneOf": [ref("A")]}}},
        needing(a={"$ref": "#"}),
    ],
    ids=json.dumps,
)
def test_references_without_an_end_are_refused(schema: dict[str, Any]) -> None:
    assert "leads back to itself" in str(refused(schema))


PARTS = st.recursive(
    st.sampled_from([{}, NUMBER, *map(ref, range(5))]),
    lambda inner: (
        st.builds(needing, a=inner, b=inner)
        | st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda every: {"allOf": every}, st.lists(inner, max_size=3))
    ),
    max_leaves=4,
)


@given(st.lists(PARTS, min_size=5, max_size=5))
def test_a_schema_is_refused_exactly_where_a_definition_that_is_used_has_no_value_that_ends(parts: list[Any]) -> None:
    def ends(part: Any, known: set[str]) -> bool:
        return (
            part.get("$ref", "") in {"", *known}
            and all(ends(one, known) for one in part.get("allOf", ()))
            and ("anyOf" not in part or any(ends(one, known) for one in part["anyOf"]))
            and all(ends(one, known) for one in part.get("properties", {}).values())
        )

    every = {ref(i)["$ref"]: part for i, part in enumerate(parts)}
    known: set[str] = set()
    for _ in every:
        known = {name for name, part in every.items() if ends(part, known)}
    schema = {"anyOf": [ref(i) for i in range(5)], "$defs": {str(i): part for i, part in enumerate(parts)}}

    assert (refused(schema) is None) == (known == set(every))


@pytest.mark.parametrize("last", [NUMBER, ref(0)], ids=["with an end", "without"])
@pytest.mark.parametrize("way", ["forth", "back"])
def test_each_part_of_a_chain_of_references_is_looked_at_once(
    last: dict[str, Any], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    look = json_schemas._conditions

    def counted(*arguments: Any) -> Iterator[list[JsonValue]]:
        nonlocal looked_at
        looked_at += 1
        return look(*arguments)

    monkeypatch.setattr(json_schemas, "_conditions", counted)
    chain = {str(i): ref(i + 1) for i in range(1500)} | {"1500": last}
    chain = chain if way == "forth" else dict(reversed(chain.items()))

    assert ("leads back" in str(refused({**ref(0), "$defs": chain}))) == (last != NUMBER)
    assert looked_at <= len(chain) + 1


@pytest.mark.parametrize("depth", [DEEPEST // 2, DEEPEST - 2, DEEPEST + 1, 200, 250, 900, 100_000])
@pytest.mark.parametrize("frames", [0, 250])
@pytest.mark.parametrize("inner", ['{"type": "array", "items": %s}', '{"anyOf": [%s]}'])
def test_a_schema_in_a_text_is_read_or_refused_however_deep_it_is(depth: int, frames: int, inner: str) -> None:
    def below(frames: int) -> str | None:
        return below(frames - 1) if frames else refused(text)

    begin, end = inner.split("%s")
    text = begin * depth + "{}" + end * depth
    said = below(frames)

    levels = depth * (2 if "[" in inner else 1) + 1
    assert (said is None) == (levels <= DEEPEST)


def test_a_stack_that_is_nearly_used_up_is_no_crash() -> None:
    text = '{"items": ' * 120 + "{}" + "}" * 120

    def below(frames: int) -> str | None:
        return below(frames - 1) if frames else refused(text)

    assert "cannot be read" in str(below(650))


@pytest.mark.parametrize(
    "form",
    [
        {"guided_json": needing(a=NUMBER)},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": needing(a=NUMBER)}}]},
        {
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "tool_choice": "auto",
            "response_format": {"type": "json_object", "schema": needing(a=NUMBER)},
        },
    ],
    ids=json.dumps,
)
def test_a_schema_is_brought_into_normal_form_when_it_is_read_and_once_more(
    form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def counted(schema: dict[str, JsonValue]) -> NormalSchema:
        seen.append(schema)
        return normalized(schema)

    monkeypatch.setattr(json_schemas, "normalized", counted)
    monkeypatch.setattr(structured_outputs, "normalized", counted)
    body = ChatCompletionRequest.model_validate({"messages": [{"role": "user", "content": "hi"}], **form})

    assert body.form is not None
    assert body.notes is not None
    assert body.conversation
    assert seen.count(needing(a=NUMBER)) == 2
