"""JSON schemas that clients send: which can be used at all, what about one cannot, and one within another."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, JsonValue
from pydantic_core import PydanticCustomError

from components.api.openai.schema_normalization import BY_NAME, DATA, Json, normalized, target
from components.sampling.forms import schema_problem

MOST_TRIED = 400
"""So many parts of a schema are tried at most, to say which of them is at fault."""


DEEPEST = 128
"""Objects and arrays within each other in a schema: the library reads no JSON that is deeper."""


def _usable(schema: Json) -> Json:
    why = f"The JSON schema is nested more than {DEEPEST} deep"
    if _is_too_deep(schema):
        raise PydanticCustomError("refused", "{why}", {"why": why})
    try:
        endless = _endless_reference(normalized(schema).schema)
    except RecursionError as error:
        raise PydanticCustomError("refused", "{why}", {"why": f"The JSON schema cannot be read: {error}"}) from error
    if endless is not None:
        why = f'"$ref": "{endless}" leads back to itself in a way that no value ever ends'
        raise PydanticCustomError("refused", "{why}", {"why": why})
    return schema


def _is_too_deep(schema: JsonValue) -> bool:
    level = [schema]
    for _ in range(DEEPEST):
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


Schema = Annotated[dict[str, JsonValue], AfterValidator(_usable)]
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


def _endless_reference(schema: Json) -> str | None:
    """A reference after which nothing can be written, or nothing that ends.

    Which parts have a value that ends spreads from those that need no others, so that each condition is met once.
    """
    references = {str(part["$ref"]) for _, part in _parts(schema, "#") if isinstance(part.get("$ref"), str)}
    # One that leads nowhere stands for anything: the grammar says what is wrong.
    targets = {one: aim for one in references if (aim := target(schema, one)) is not None}
    unmet: dict[int, int] = {}  # how many conditions of a part are not met yet
    conditions_with: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    ending, found = [], list[JsonValue](targets.values())
    while found:
        part = found.pop()
        if id(part) in unmet:
            continue
        conditions = list(_conditions(part, targets))
        unmet[id(part)] = len(conditions)
        if not conditions:
            ending.append(id(part))
        for number, alternatives in enumerate(conditions):
            for one in alternatives:
                conditions_with[id(one)].append((id(part), number))
            found += alternatives
    met = set()
    while ending:
        for condition in conditions_with[ending.pop()]:
            if condition in met:
                continue
            met.add(condition)
            user, _ = condition
            unmet[user] -= 1
            if not unmet[user]:
                ending.append(user)
    return min((one for one, aim in targets.items() if unmet[id(aim)]), default=None)


def _conditions(part: JsonValue, targets: Mapping[str, Json]) -> Iterator[list[JsonValue]]:
    """What a value of a schema needs in order to end: of each list, that a value of one of the schemas in it ends."""
    if not isinstance(part, dict):
        return
    if isinstance(reference := part.get("$ref"), str) and reference in targets:
        yield [targets[reference]]
    if isinstance(every := part.get("allOf"), list):
        yield from ([one] for one in every)
    for name in ("anyOf", "oneOf"):
        if isinstance(some := part.get(name), list):
            yield some
    match part:
        case {"type": "object", "required": [*names], "properties": dict(properties)}:
            yield from ([properties[name]] for name in names if isinstance(name, str) and name in properties)
        case {"type": "array", "minItems": int(least), "items": items} if least > 0:
            yield [items]


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
