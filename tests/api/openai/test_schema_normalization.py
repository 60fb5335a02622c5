"""JSON schemas as people's libraries write them can be followed, and what of them is not held to is named."""

import json
from functools import reduce
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.api.openai.schema_normalization import normalized
from components.api.openai.schema_patterns import without_assertions
from components.sampling.forms import schema_problem
from components.sampling.parameters import LONGEST_FORM

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
EMAIL = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
DECIMAL = r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,3}|(?=[\d.]{1,6}0*$)\d{0,3}\.\d{0,2}0*$)"


def record(**rest: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": NUMBER, **rest}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


SAME: dict[str, tuple[Any, Any]] = {
    "zod: a record": (record(propertyNames=TEXT), record()),
    "zod: a described record": (record(propertyNames={"type": "string", "description": "Who."}), record()),
    "any name": (record(propertyNames=True), record()),
    "no name": (record(propertyNames=False), closed()),
    "a name by reference": (
        record(propertyNames={"$ref": "#/$defs/N"}, **{"$defs": {"N": TEXT}}),
        record(**{"$defs": {"N": TEXT}}),
    ),
    "pydantic: Dict[Literal]": (record(propertyNames={"enum": ["a", "b"]}), closed(a=NUMBER, b=NUMBER)),
    "zod: a record of an enum": (
        record(propertyNames={"type": "string", "enum": ["a", "b"]}, required=["a", "b"]),
        {**closed(a=NUMBER, b=NUMBER), "required": ["a", "b"]},
    ),
    "pydantic: dict[Enum]": (
        record(propertyNames={"$ref": "#/$defs/E"}, **{"$defs": {"E": {"enum": ["r", "g"]}}}),
        {**closed(r=NUMBER, g=NUMBER), "$defs": {"E": {"enum": ["r", "g"]}}},
    ),
    "names that are one of two": (
        record(propertyNames={"anyOf": [{"const": "a"}, {"enum": ["b"]}]}),
        closed(a=NUMBER, b=NUMBER),
    ),
    "names of properties that are described": (
        {**closed(b=TEXT, c=TEXT), "propertyNames": {"enum": ["a", "b"]}},
        closed(b=TEXT),
    ),
    "at least as many as must be there": (record(propertyNames={"enum": ["a"]}, minProperties=0), closed(a=NUMBER)),
    "no more than there are": (record(propertyNames={"enum": ["a"]}, maxProperties=1), closed(a=NUMBER)),
    "names of a pattern": (
        record(propertyNames={"pattern": "^x"}),
        {"type": "object", "patternProperties": {"^x": NUMBER}, "additionalProperties": False},
    ),
    "names of a length": (
        record(propertyNames={"minLength": 2, "maxLength": 3.0}),
        {"type": "object", "patternProperties": {"^(?s:.{2,3})$": NUMBER}, "additionalProperties": False},
    ),
    "items that may repeat": ({"type": "array", "uniqueItems": False}, {"type": "array"}),
    "one item": ({"type": "array", "uniqueItems": True, "maxItems": 1}, {"type": "array", "maxItems": 1}),
    "nulls": (
        {"type": "string", "enum": None, "minLength": None, "required": None, "format": None, "items": None},
        TEXT,
    ),
    "nulls that are values": ({"const": None, "default": None}, {"const": None, "default": None}),
    "nulls within": (closed(a={"enum": ["x"], "pattern": None}), closed(a={"enum": ["x"]})),
    "nulls in data": ({"enum": [None, {"enum": None}]}, {"enum": [None, {"enum": None}]}),
    "whole floats": (
        {"type": "array", "minItems": 1.0, "maxItems": 2.0, "items": {"type": "string", "maxLength": 3.0}},
        {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "maxLength": 3}},
    ),
    "a property with a keyword's name": (closed(enum=TEXT, format=TEXT), closed(enum=TEXT, format=TEXT)),
    "a reference in Chinese": (
        {"$ref": "#/$defs/城市", "$defs": {"城市": TEXT}},
        {"$ref": "#/$defs/%E5%9F%8E%E5%B8%82", "$defs": {"城市": TEXT}},
    ),
    "a hyphen beside a class": (
        {"type": "string", "pattern": r"^[+-\d]\d-\d$"},
        {"type": "string", "pattern": r"^[+\-\d]\d-\d$"},
    ),
    "a pattern of names with a hyphen beside a class": (
        {"type": "object", "patternProperties": {r"^[+-\d]": NUMBER}},
        {"type": "object", "patternProperties": {r"^[+\-\d]": NUMBER}},
    ),
    "a condition of nothing": ({"type": "string", "then": False}, TEXT),
    "everything may be left over": (record(unevaluatedProperties=True, dependentRequired={}), record()),
    "known formats": ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
}
"""What says the same otherwise."""

LOOSER: dict[str, tuple[Any, Any, list[str]]] = {
    "uniqueItems": ({"type": "array", "uniqueItems": True}, {"type": "array"}, ["#/uniqueItems"]),
    "a set of an enum": (
        {"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}},
        {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        ["#/uniqueItems"],
    ),
    "z.email()": (
        {"type": "string", "format": "email", "pattern": EMAIL},
        {
            "type": "string",
            "format": "email",
            "pattern": EMAIL.replace(r"(?!\.)(?!.*\.\.)", "(?:)(?:)"),
        },
        ["#/pattern"],
    ),
    "pydantic: Decimal": (
        closed(a={"anyOf": [{"type": "number"}, {"type": "string", "pattern": DECIMAL}]}),
        closed(
            a={
                "anyOf": [
                    {"type": "number"},
                    {"type": "string", "pattern": r"^(?:)[+-]?0*(?:\d{0,3}|(?:)\d{0,3}\.\d{0,2}0*$)"},
                ]
            }
        ),
        ["#/properties/a/anyOf/1/pattern"],
    ),
    "a back reference": ({"type": "string", "pattern": r"^(a|b)\1$"}, TEXT, ["#/pattern"]),
    "the only names there are": (
        {"type": "object", "patternProperties": {"^(?!x)a/~": NUMBER}, "additionalProperties": False},
        {"type": "object", "patternProperties": {"^(?:)a/~": NUMBER}, "additionalProperties": False},
        ["#/patternProperties/^(?!x)a~1~0"],
    ),
    "names among any others": (
        {"type": "object", "patternProperties": {"^(?!x-)": NUMBER}},
        {"type": "object"},
        ["#/patternProperties/^(?!x-)"],
    ),
    "names among others": (
        record(patternProperties={"^(?!x-)": TEXT, "^f": TEXT}),
        record(additionalProperties={"anyOf": [NUMBER, TEXT]}, patternProperties={"^f": TEXT}),
        ["#/patternProperties/^(?!x-)"],
    ),
    "names among others that are not allowed": (
        record(patternProperties={"^(?!x-)": False}),
        record(),
        ["#/patternProperties/^(?!x-)"],
    ),
    "names beside those of properties": (
        {**closed(a=TEXT), "patternProperties": {"^(?!a).*$": NUMBER}, "required": ["a"]},
        {**closed(a=TEXT), "additionalProperties": NUMBER, "required": ["a"]},
        ["#/patternProperties/^(?!a).*$"],
    ),
    "patterns of names that would be the same": (
        {**closed(), "patternProperties": {"^(?=a)x": NUMBER, "^(?=b)x": TEXT}},
        {**closed(), "additionalProperties": {"anyOf": [NUMBER, TEXT]}},
        ["#/patternProperties/^(?=a)x", "#/patternProperties/^(?=b)x"],
    ),
    "a pattern of names that refers back": (
        {"type": "object", "patternProperties": {r"^(a)\1": NUMBER}, "additionalProperties": False},
        {"type": "object", "additionalProperties": NUMBER},
        [r"#/patternProperties/^(a)\1"],
    ),
    "names and a pattern of names": (
        {"type": "object", "patternProperties": {"^a": NUMBER}, "propertyNames": {"minLength": 2}},
        {"type": "object", "patternProperties": {"^a": NUMBER}},
        ["#/propertyNames"],
    ),
    "names that are no texts": (record(propertyNames={"type": "number"}), record(), ["#/propertyNames"]),
    "names of a format": (record(propertyNames={"format": "cuid2"}), record(), ["#/propertyNames/format"]),
    "one of some": (
        record(propertyNames={"enum": ["a", "b"]}, minProperties=1),
        closed(a=NUMBER, b=NUMBER),
        ["#/minProperties"],
    ),
    "within an array": (
        {"type": "array", "items": {"type": "string", "format": "path"}},
        {"type": "array", "items": TEXT},
        ["#/items/format"],
    ),
    "within a definition": (
        {"$ref": "#/$defs/T", "$defs": {"T": {"type": ["string", "null"], "format": "x-ours"}}},
        {"$ref": "#/$defs/T", "$defs": {"T": {"type": ["string", "null"]}}},
        ["#/$defs/T/format"],
    ),
}
"""What allows more, and what is said about it."""

FORMATS = [
    "path",
    "binary",
    "password",
    "ipvanyaddress",
    "jwt",
    "base64url",
    "cuid2",
    "nanoid",
    "emoji",
    "ulid",
    "e164",
    "int32",
    "float",
    "regex",
    "uri-reference",
    "iri",
    "idn-email",
    "json-pointer",
    "x-anything",
]


@pytest.mark.parametrize("name", SAME)
def test_what_can_be_said_otherwise_is(name: str) -> None:
    schema, expected = SAME[name]
    normal = normalized(schema)

    assert (normal.schema, normal.left_out) == (expected, ())
    described: Any = normal.schema.get("properties", ())
    assert list(described) == list(expected.get("properties", ()))
    assert schema_problem(normal.schema) is None


@pytest.mark.parametrize("name", LOOSER)
def test_what_no_grammar_can_hold_to_is_left_out_and_named(name: str) -> None:
    schema, expected, left_out = LOOSER[name]
    normal = normalized(schema)

    assert normal.schema == expected
    assert list(normal.left_out) == left_out
    assert schema_problem(normal.schema) is None


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("rest", [{"type": "string"}, {"type": ["string", "null"], "minLength": 1}, {}], ids=str)
def test_a_format_that_is_not_known_is_an_annotation(format_: str, rest: dict[str, Any]) -> None:
    normal = normalized({**rest, "format": format_})

    assert (normal.schema, normal.left_out) == (rest, ("#/format",))
    assert schema_problem(normal.schema) is None


@pytest.mark.parametrize(
    ("format_", "fits", "other"),
    [
        ("uuid4", "5f0c8e6a-3f43-4e1b-9d7b-0a2f6b9c1d2e", "d9428888-122b-11e1-b85c-61cd3cbb3210"),
        ("uuid1", "d9428888-122b-11e1-b85c-61cd3cbb3210", "5f0c8e6a-3f43-4e1b-9d7b-0a2f6b9c1d2e"),
        ("byte", "aGk=", "aGk"),
        ("base64", "", "a-_="),
    ],
)
def test_a_format_that_its_readers_insist_on_is_a_pattern(format_: str, fits: str, other: str) -> None:
    normal = normalized({"type": "string", "format": format_})

    assert not normal.left_out
    assert schema_problem(normal.schema) is None
    assert jsonschema_rs.is_valid(normal.schema, fits)
    assert not jsonschema_rs.is_valid(normal.schema, other)


@pytest.mark.parametrize(
    "name", ["城市", "météo", "My Type", "Box[int]", "a/b", "a~b", "100%", 'x"y', "a#b", "a^b", "{a}"]
)
def test_a_definition_may_have_any_name(name: str) -> None:
    escaped = name.replace("~", "~0").replace("/", "~1")
    if "#" in name:
        escaped = escaped.replace("#", "%23")

    schema: dict[str, Any] = {"$ref": f"#/$defs/{escaped}", "$defs": {name: TEXT}}
    assert schema_problem(normalized(schema).schema) is None


def test_a_schema_in_normal_form_stays_as_it_is() -> None:
    for schema in [*(schema for schema, _ in SAME.values()), *(schema for schema, _, _ in LOOSER.values())]:
        normal = normalized(schema).schema
        again = normalized(normal)
        assert (again.schema, again.left_out) == (normal, ())


KEYS = st.sampled_from(["", "a", "b", "c", "ab", "abc", "xy", "r", "g", "x-a", "a/~", "foo"])
SCALARS = st.none() | st.integers(-2, 5) | KEYS | st.sampled_from(["1.50", "aa", "ab", "me@example.com"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner | st.integers(), max_size=3)
)


def _without_nulls(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None or key in ("const", "default")}


def without_nulls(schema: Any) -> Any:
    """As the reference takes it."""
    return json.loads(json.dumps(schema), object_hook=_without_nulls)


def is_known_to_the_reference(schema: Any) -> bool:
    """Its regular expressions are Rust's, which refuse some that clients send."""
    try:
        jsonschema_rs.is_valid(without_nulls(schema), None)
    except jsonschema_rs.ValidationError:
        return False
    return True


COMPARED = sorted(name for name, (schema, *_) in (SAME | LOOSER).items() if is_known_to_the_reference(schema))


@given(name=st.sampled_from(sorted({*COMPARED} - {"a reference in Chinese", "nulls in data"})), value=VALUES)
def test_whatever_a_schema_allows_its_normal_form_allows(name: str, value: Any) -> None:
    schema = (SAME | LOOSER)[name][0]
    if jsonschema_rs.is_valid(without_nulls(schema), value):
        assert jsonschema_rs.is_valid(normalized(schema).schema, value)
    elif name in SAME:
        assert not jsonschema_rs.is_valid(normalized(schema).schema, value)


NAMES = st.sampled_from(["a", "x-a", "$schema", "x", "bc", "ax"])
NAMINGS: list[dict[str, Any]] = [{"enum": ["a", "x-a"]}, {"pattern": "^(?!a)"}, {"minLength": 2}]
VALUE_SCHEMAS = st.sampled_from([TEXT, NUMBER, True, False, {}])


@given(
    schema=st.fixed_dictionaries(
        {
            "patternProperties": st.dictionaries(
                st.sampled_from(["^(?!x-)", "^(?=a)x", "^(?=b)x", "^a", r"^(?!\$).*$", "^x", "(?<!b)c$"]),
                VALUE_SCHEMAS,
                max_size=3,
            )
        },
        optional={
            "properties": st.dictionaries(NAMES, VALUE_SCHEMAS, max_size=2),
            "additionalProperties": VALUE_SCHEMAS,
            "required": st.lists(NAMES, max_size=1),
            "propertyNames": st.sampled_from(NAMINGS),
        },
    ),
    value=st.dictionaries(NAMES, st.sampled_from(["s", 1, None]), max_size=3),
)
def test_whatever_names_a_schema_allows_its_normal_form_allows(schema: dict[str, Any], value: dict[str, Any]) -> None:
    if jsonschema_rs.is_valid(schema, value):
        assert jsonschema_rs.is_valid(normalized(schema).schema, value)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"^a[(?=x]b\(?=\\b$", r"^a[(?=x]b\(?=\\b$"),
        (r"(?=(a|[)]|\)))x", "(?:)x"),
        (r"(?<=a(?!b))x(?<n>y)", "(?:)x(?<n>y)"),
        (r"(?!a)*b|(?<!c)", "(?:)*b|(?:)"),
        (r"\bword\B[\b]", r"(?:)word(?:)[\b]"),
        (r"\\1[\1]", r"\\1[\1]"),
        (r"[]](?=a)[^]](?!b)", "[]](?:)[^]](?:)"),
        (r"(?P<n>a)(?P=n)", None),
        (r"(?<n>a)\k<n>", None),
        (r"(?=(", "(?:)"),
        ("\\", "\\"),
    ],
)
def test_assertions_are_taken_out_of_patterns(pattern: str, expected: str | None) -> None:
    assert without_assertions(pattern) == expected


def test_two_patterns_of_names_that_mean_the_same_stay_two() -> None:
    patterns: dict[str, Any] = {r"^[+-\d]": NUMBER, r"^[+\-\d]": TEXT}

    assert normalized({"patternProperties": patterns}).schema == {"patternProperties": patterns}


def test_definitions_that_double_each_other_are_not_written_out() -> None:
    double = {f"D{i}": {"anyOf": [{"$ref": f"#/$defs/D{i + 1}"}] * 2} for i in range(60)}
    schema = record(propertyNames={"$ref": "#/$defs/D0"}, **{"$defs": {**double, "D60": {"enum": ["a"]}}})

    assert normalized(schema).left_out == ("#/propertyNames",)


@pytest.mark.parametrize(
    "schema",
    [
        {"c": {"enum": [f"n{i}" for i in range(4000)]}, "anyOf": [{"propertyNames": {"$ref": "#/c"}}] * 500},
        {
            "c": {"anyOf": [{"enum": [f"n{i}" for i in range(4000)]}]},
            "anyOf": [{"propertyNames": {"anyOf": [{"$ref": "#/c"}]}, "additionalProperties": False}] * 500,
        },
        record(propertyNames={"enum": [f"n{i}" for i in range(300)]}, additionalProperties={"title": "long" * 500}),
        reduce(
            lambda inner, _: record(additionalProperties=inner, propertyNames={"enum": list("abcdefgh")}),
            range(20),
            record(),
        ),
    ],
    ids=["from many places", "by detours", "of long schemas", "of records of records"],
)
def test_names_are_written_out_as_far_as_a_form_may_be_long(schema: dict[str, Any]) -> None:
    normal = normalized(schema)

    assert len(json.dumps(normal.schema)) <= len(json.dumps(schema)) + LONGEST_FORM
    assert any(pointer.endswith("/propertyNames") for pointer in normal.left_out)


KEYWORDS = [
    "properties",
    "propertyNames",
    "patternProperties",
    "required",
    "enum",
    "const",
    "anyOf",
    "items",
    "uniqueItems",
    "format",
    "pattern",
    "minProperties",
    "maxProperties",
    "minItems",
    "additionalProperties",
    "$ref",
    "$defs",
    "minContains",
    "contains",
    "if",
    "not",
]


@given(
    st.recursive(
        SCALARS | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYWORDS),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    )
)
def test_no_schema_however_wrong_is_a_crash(schema: Any) -> None:
    normalized({"type": "object", "items": schema, "properties": {"a": schema}})
