"""JSON schemas as clients write them, brought into the form that the grammar's library reads.

The library refuses every keyword that it cannot hold a reply to. Some of them say nothing (``"uniqueItems": false``) or
can be said otherwise (names of properties that are an enum). Others are annotations by specification, such as formats
that are not known; or they need a memory that no grammar has, such as ``uniqueItems`` and look-ahead. These are left
out, and the response names them: what is left allows all that the schema allows, and whoever sent the schema checks
the reply by it and asks again. ``"strict": true`` makes no difference, since nobody chose it: OpenAI's ``.parse`` and
``pydantic_function_tool``, and Vercel's AI SDK, send it with every schema, also with that of a ``set``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from pydantic import JsonValue

from components.api.openai.schema_patterns import hold_patterns
from components.sampling.forms import schema_problem
from components.sampling.parameters import LONGEST_FORM

Json = dict[str, JsonValue]

DATA = ("const", "enum", "default", "examples", "example")
"""Keywords whose values are data, not schemas."""

BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose values hold schemas by names of the client's choice."""

_COUNTS = tuple(f"{bound}{what}" for bound in ("min", "max") for what in ("Length", "Items", "Properties", "Contains"))

_ANNOTATIONS = ("title", "description", "$comment", "default", "examples", "example", "deprecated")

LONGEST_FORMAT = 64
"""No format that is known has a name of so many characters."""

_UUID = "^[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-{}[0-9a-fA-F]{{3}}-[89abAB][0-9a-fA-F]{{3}}-[0-9a-fA-F]{{12}}$"
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

_PATTERNS = {f"uuid{version}": _UUID.format(version) for version in range(1, 9)} | dict.fromkeys(
    ("base64", "byte"), _BASE64
)
"""Formats of pydantic's, zod's and OpenAPI's that the library does not know, and that their readers insist on."""

MOST_VALUES = 4096
"""A schema that lists more values than these is not written out anew."""

MOST_REFERENCES = 64
"""So many references are followed, each from the last."""


@dataclass(frozen=True)
class NormalSchema:
    """A schema that a reply is held to.

    Attributes:
        schema: it.
        left_out: pointers to what was in the schema and is not held to, such as ``#/properties/a/uniqueItems``.
    """

    schema: Json
    left_out: tuple[str, ...]


def normalized(schema: Mapping[str, JsonValue]) -> NormalSchema:
    """A schema in the form in which a reply can follow it."""
    work = _Normalization(schema)
    return NormalSchema(work.of(dict(schema), "#"), tuple(work.left_out))


def target(schema: Json, reference: str) -> Json | None:
    """The part of a schema that a reference within it means."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    part: JsonValue = schema
    for name in reference.split("/")[1:]:
        name = unquote(name).replace("~1", "/").replace("~0", "~")
        if isinstance(part, dict):
            part = part.get(name)
        elif isinstance(part, list) and name.isdecimal() and int(name) < len(part):
            part = part[int(name)]
        else:
            return None
    return part if isinstance(part, dict) else None


class _Normalization:
    """One pass over a schema."""

    def __init__(self, root: Mapping[str, JsonValue]) -> None:
        self._root = dict(root)
        self._room = LONGEST_FORM
        self._listed: dict[str, list[JsonValue] | None] = {}
        self.left_out: list[str] = []

    def of(self, schema: Json, pointer: str) -> Json:
        # Programs that write all fields of an object write null for a keyword that it does not have.
        kept = {name: value for name, value in schema.items() if value is not None or name in ("const", "default")}
        kept = {name: self._value(name, value, f"{pointer}/{_escaped(name)}") for name, value in kept.items()}
        _drop_what_says_nothing(kept)
        self.left_out += [f"{pointer}/{'/'.join(map(_escaped, path))}" for path in hold_patterns(kept)]
        self._hold_format(kept, pointer)
        self._hold_items(kept, pointer)
        self._hold_property_names(kept, pointer)
        self._hold_number_of_properties(kept, pointer)
        return kept

    def _value(self, name: str, value: JsonValue, pointer: str) -> JsonValue:
        match value:
            case float() if name in _COUNTS and value.is_integer():
                return int(value)
            case str() if name == "$ref":
                return _encoded(value)
            case dict() if name in BY_NAME:
                return {key: self._part(item, f"{pointer}/{_escaped(key)}") for key, item in value.items()}
            case list() if name not in DATA:
                return [self._part(item, f"{pointer}/{index}") for index, item in enumerate(value)]
            case dict() if name not in DATA:
                return self.of(value, pointer)
        return value

    def _part(self, value: JsonValue, pointer: str) -> JsonValue:
        return self.of(value, pointer) if isinstance(value, dict) else value

    def _leave_out(self, schema: Json, name: str, pointer: str) -> None:
        del schema[name]
        self.left_out.append(f"{pointer}/{_escaped(name)}")

    def _hold_format(self, schema: Json, pointer: str) -> None:
        format_ = schema.get("format")
        if not isinstance(format_, str) or _is_known(format_):
            return
        if format_ in _PATTERNS and "pattern" not in schema and schema.get("type") == "string":
            schema["pattern"] = _PATTERNS[format_]
            del schema["format"]
        else:
            self._leave_out(schema, "format", pointer)

    def _hold_items(self, schema: Json, pointer: str) -> None:
        if schema.get("uniqueItems") is not True:
            return
        most = schema.get("maxItems")
        if isinstance(most, int) and most <= 1:
            del schema["uniqueItems"]
            return
        self._leave_out(schema, "uniqueItems", pointer)
        items = schema.get("items")
        values = self._values_of(items) if isinstance(items, dict) and "prefixItems" not in schema else None
        if (
            values is not None
        ):  # of so many values there are no more that differ: without an end, a model repeats itself
            schema["maxItems"] = min(most, len(values)) if isinstance(most, int) else len(values)

    def _hold_property_names(self, schema: Json, pointer: str) -> None:
        names = schema.get("propertyNames", True)
        if names is True or (isinstance(names, dict) and self._is_any_text(names)):
            schema.pop("propertyNames", None)
            return
        by_pattern = "patternProperties" in schema
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        values = [] if names is False else self._values_of(names)
        if (
            values is not None
            and isinstance(properties, dict)
            and not by_pattern
            and self._has_room_for(values, others)
        ):
            allowed = {name: properties.get(name, others) for name in values if isinstance(name, str)}
            # Those that are described come first, in their order.
            allowed = {name: allowed[name] for name in [*(name for name in properties if name in allowed), *allowed]}
            schema["properties"] = {name: value for name, value in allowed.items() if value is not False}
            schema["additionalProperties"] = False
            del schema["propertyNames"]
            return
        pattern, is_all = _pattern_of(names)
        if pattern is not None and not properties and not by_pattern:
            schema["patternProperties"] = {pattern: others}
            schema["additionalProperties"] = False
            if is_all:
                del schema["propertyNames"]
                return
        self._leave_out(schema, "propertyNames", pointer)

    def _has_room_for(self, names: list[JsonValue], value: JsonValue) -> bool:
        """Whether a value may be written once for each of some names. A form that is longer would be refused anyway.

        Without an end, a list that is referred to from many places, or records of records, would grow and grow.
        """
        most = self._room // max(len(names), 1)
        each = len('"": , ')
        for written in json.JSONEncoder().iterencode(value):
            each += len(written)
            if each > most:
                return False
        needed = sum(each + len(name) for name in names if isinstance(name, str))
        if needed > self._room:
            return False
        self._room -= needed
        return True

    def _hold_number_of_properties(self, schema: Json, pointer: str) -> None:
        """The library counts properties only where each of those that are described must be there."""
        properties, needed = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(needed, list):
            return
        required = {name for name in needed if isinstance(name, str)}
        if properties.keys() <= required:
            return
        least, most = schema.get("minProperties"), schema.get("maxProperties")
        is_closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
        if isinstance(least, int) and least <= len(required):
            del schema["minProperties"]
        elif least is not None:
            self._leave_out(schema, "minProperties", pointer)
        if isinstance(most, int) and is_closed and most >= len(properties):
            del schema["maxProperties"]
        elif most is not None:
            self._leave_out(schema, "maxProperties", pointer)

    def _values_of(self, schema: JsonValue) -> list[JsonValue] | None:
        """All values of a schema, where it lists them."""
        match schema:
            case {"$ref": str(reference)}:
                if reference not in self._listed:
                    self._listed[reference] = None  # what leads back to itself
                    self._listed[reference] = self._values_of(target(self._root, reference))
                return self._listed[reference]
            case {"enum": [*values]}:
                return list(values) if len(values) <= MOST_VALUES else None
            case {"const": value}:
                return [value]
            case {"anyOf": [*some]} | {"oneOf": [*some]}:
                values = []
                for one in some:
                    listed = self._values_of(one)
                    if listed is None or len(values) + len(listed) > MOST_VALUES:
                        return None
                    values += listed
                return values
            case {"type": "boolean"}:
                return [True, False]
            case {"type": "null"}:
                return [None]
        return None

    def _is_any_text(self, schema: Json, depth: int = 0) -> bool:
        """Whether every name fits."""
        said = {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
        match said:
            case {"$ref": str(reference)} if len(said) == 1 and depth < MOST_REFERENCES:
                part = target(self._root, reference)
                return part is not None and self._is_any_text(part, depth + 1)
            case {"type": "string" | ["string", *_]}:
                return len(said) == 1
        return not said


def _drop_what_says_nothing(schema: Json) -> None:
    """Take out keywords whose value allows everything, and those that need another which is not there."""
    has_condition = "if" in schema and ("then" in schema or "else" in schema)
    says_nothing = {
        "uniqueItems": schema.get("uniqueItems") is False,
        "not": schema.get("not") is False,
        "contains": schema.get("minContains") == 0 and "maxContains" not in schema,
        "minContains": "contains" not in schema
        or ("maxContains" not in schema and schema.get("minContains") in (0, 1)),
        "maxContains": "contains" not in schema,
        "if": not has_condition,
        "then": not has_condition,
        "else": not has_condition,
        "$dynamicAnchor": True,  # without a "$dynamicRef", which is refused, nobody asks for it
        "$recursiveAnchor": True,
        **{
            name: schema.get(name) in (True, {})
            for name in ("unevaluatedProperties", "unevaluatedItems", "dependentRequired", "dependentSchemas")
        },
    }
    for name, is_nothing in says_nothing.items():
        if is_nothing:
            schema.pop(name, None)


def _pattern_of(names: JsonValue) -> tuple[str | None, bool]:
    """A regular expression for names, if a schema has one or bounds their length, and whether it says everything."""
    if not isinstance(names, dict):
        return None, False
    said = {name: value for name, value in names.items() if name not in _ANNOTATIONS and name != "type"}
    match said:
        case {"pattern": str(pattern)}:
            return pattern, len(said) == 1
        case {"minLength": int()} | {"maxLength": int()}:
            least, most = said.get("minLength", 0), said.get("maxLength", "")
            return f"^(?s:.{{{least},{most}}})$", said.keys() <= {"minLength", "maxLength"}
    return None, False


@lru_cache(maxsize=1024)
def _is_known(format_: str) -> bool:
    """Whether the library holds texts to a format. It says so itself, so that no list of ours grows old."""
    return len(format_) < LONGEST_FORMAT and schema_problem({"type": "string", "format": format_}) is None


def _encoded(reference: str) -> str:
    """A reference as RFC 3986 has it, whose fragment names a part in ASCII: people write ``#/$defs/城市``."""
    before, mark, fragment = reference.partition("#")
    stray_percent = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", fragment)
    return before + mark + quote(stray_percent, safe="/~%!$&'()*+,;=:@?-._")


def _escaped(name: str) -> str:
    """A name as a part of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")
