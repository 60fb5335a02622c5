"""JSON schemas that clients send: which can be used at all, what about one cannot, and one within another."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, JsonValue
from pydantic_core import PydanticCustomError

from components.api.openai.schema_normalization import BY_NAME, DATA, normalized, target
from components.sampling.forms import schema_problem

MOST_TRIED = 400
"""So many parts of a schema are tried at most, to say which of them is at fault."""


def _not_endless(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if endless := _endless_reference(normalized(schema).schema):
        why = f'"$ref": "{endless}" leads back to itself in a way that no value ever ends'
        raise PydanticCustomError("refused", "{why}", {"why": why})
    return schema


Schema = Annotated[dict[str, JsonValue], AfterValidator(_not_endless)]
"""A JSON schema in which references may go round in a circle only where there is a way out."""


def _parsed(schema: object) -> object:
    if not isinstance(schema, str):
        return schema
    try:
        return json.loads(schema)
    except (ValueError, RecursionError) as error:
        why = f"The JSON schema cannot be read: {error}"
        raise PydanticCustomError("refused", "{why}", {"why": why}) from error


WrittenSchema = Annotated[Schema, BeforeValidator(_parsed)]
"""The same, or written as JSON in a text."""


def moved(schema: JsonValue, root: str) -> JsonValue:
    """A schema as it is below ``root``, a pointer such as ``#/$defs/a``."""
    if not isinstance(schema, dict):
        return schema
    # With an "$id" its references would begin there and not at the root of the whole.
    kept = {name: value for name, value in schema.items() if name not in ("$id", "$schema")}
    reference = kept.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        kept["$ref"] = root + reference[1:]
    for name, value in kept.items():
        if name in BY_NAME and isinstance(value, dict):
            kept[name] = {key: moved(item, root) for key, item in value.items()}
        elif isinstance(value, list) and name not in DATA:
            kept[name] = [moved(item, root) for item in value]
        elif isinstance(value, dict) and name not in DATA:
            kept[name] = moved(value, root)
    return kept


def problem_and_place(schema: Mapping[str, JsonValue]) -> str | None:
    """What about a schema cannot be used and, where that is found, a pointer to it such as ``#/properties/a``."""
    problem = schema_problem(schema)
    if problem is None:
        return None
    for pointer, part in islice(_parts(schema, "#"), MOST_TRIED):
        if schema_problem(_without_references(part)) == problem:
            return f"{problem}, in {pointer}"
    return problem


def _without_references(part: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What a part says by itself: anything goes where it refers to another."""
    text = json.dumps(part)
    return json.loads(text, object_hook=lambda item: {} if "$ref" in item else item)  # type: ignore[no-any-return]


def _endless_reference(schema: Mapping[str, JsonValue]) -> str | None:
    """A reference after which nothing can be written, or nothing that ends."""
    references = {part["$ref"] for _, part in _parts(schema, "#") if isinstance(part.get("$ref"), str)}
    targets = {one: target(schema, str(one)) for one in references}
    ending: set[JsonValue] = {
        one for one, target in targets.items() if target is None
    }  # the grammar says what is wrong
    while found := {one for one, part in targets.items() if one not in ending and part and _ends(part, ending)}:
        ending |= found
    return min((str(one) for one, part in targets.items() if part and one not in ending), default=None)


def _ends(part: object, ending: Container[JsonValue]) -> bool:
    """Whether there is a value of a schema, when there is one for each of the references ``ending``."""
    match part:
        case {"$ref": str(reference)} if reference not in ending:
            return False
        case {"allOf": [*every]} if not all(_ends(one, ending) for one in every):
            return False
        case {"anyOf": [*some]} | {"oneOf": [*some]} if not any(_ends(one, ending) for one in some):
            return False
        case {"type": "object", "required": [*names], "properties": {**properties}}:
            return all(
                _ends(properties[name], ending) for name in names if isinstance(name, str) and name in properties
            )
        case {"type": "array", "minItems": int(least), "items": items} if least > 0:
            return _ends(items, ending)
    return True


def _parts(schema: Mapping[str, JsonValue], pointer: str) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    """All schemas in a schema with where they are, those within others before them."""
    for name, value in schema.items():
        here = f"{pointer}/{name}"
        if name in BY_NAME and isinstance(value, dict):
            inner: Iterable[tuple[object, JsonValue]] = value.items()
        elif isinstance(value, list) and name not in DATA:
            inner = enumerate(value)
        elif isinstance(value, dict) and name not in DATA:
            yield from _parts(value, here)
            continue
        else:
            continue
        for key, item in inner:
            if isinstance(item, dict):
                yield from _parts(item, f"{here}/{key}")
    yield pointer, schema
