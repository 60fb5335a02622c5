"""Regular expressions in JSON schemas, without what no automaton can look for: what stands around, and earlier groups.

A reply is held to a pattern character by character, so assertions are left out. What is left allows whatever the
pattern allows, and a little more: ``z.email()`` without its "no two dots in a row" still wants an address.
"""

import re
from collections.abc import Iterator

from pydantic import JsonValue

from components.sampling.forms import with_plain_hyphens

_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\\k[<'{]|\(\?P=")
_NOTHING = "(?:)"
"""In the place of an assertion: behind it may stand a quantifier, or beside it nothing else."""


def hold_patterns(schema: dict[str, JsonValue]) -> Iterator[tuple[str, ...]]:
    """Bring a schema's own patterns into a form that a reply can follow; yield where one does not hold as it stands."""
    if isinstance(pattern := schema.get("pattern"), str):
        schema["pattern"] = plain = with_plain_hyphens(pattern)
        if (kept := without_assertions(plain)) != plain:
            yield ("pattern",)
            del schema["pattern"]
            if kept is not None:
                schema["pattern"] = kept
    if isinstance(patterns := schema.get("patternProperties"), dict):
        yield from (("patternProperties", name) for name in _hold_patterns_of_names(schema, patterns))


def _hold_patterns_of_names(schema: dict[str, JsonValue], patterns: dict[str, JsonValue]) -> list[str]:
    """A looser pattern would hold more names to its schema, so it may stand only where all others are refused.

    Else it is left out, and what it allows is allowed for every name that no other pattern or property describes.
    """
    others = schema.get("additionalProperties", True)
    is_alone = len(patterns) == 1 and others is False and not schema.get("properties")
    held: dict[str, JsonValue] = {}
    freed: list[JsonValue] = []
    left_out = []
    for pattern, value in patterns.items():
        plain = with_plain_hyphens(pattern)
        kept = without_assertions(plain)
        if kept == plain:
            held[pattern if plain in patterns or plain in held else plain] = value
            continue
        left_out.append(pattern)
        if kept is not None and is_alone:
            held[kept] = value
        else:
            freed.append(value)
    schema["patternProperties"] = held
    if freed and not held:
        del schema["patternProperties"]
    if freed and others is not True:
        schema["additionalProperties"] = _any_of([others, *freed])
    return left_out


def _any_of(schemas: list[JsonValue]) -> JsonValue:
    """A schema that allows what one of some allows."""
    some = [one for one in schemas if one is not False]
    if any(one is True or one == {} for one in some):
        return True
    return some[0] if len(some) == 1 else {"anyOf": some} if some else False


def without_assertions(pattern: str) -> str | None:
    r"""A pattern without look-around and ``\b``, the same text where it has none; None if it refers back to a group."""
    kept, place = "", 0
    while place < len(pattern):
        if _BACK_REFERENCE.match(pattern, place):
            return None
        end = _end_of_item(pattern, place)
        if _LOOKAROUND.match(pattern, place):
            end = _end_of_group(pattern, place)
            kept += _NOTHING
        elif pattern[place:end] in (r"\b", r"\B"):
            kept += _NOTHING
        else:
            kept += pattern[place:end]
        place = end
    return kept


def _end_of_item(pattern: str, place: int) -> int:
    """Where an escape, a class in brackets or else the one character that begins there ends."""
    if pattern[place] == "\\":
        return place + 2
    if pattern[place] != "[":
        return place + 1
    place += 2 if pattern.startswith("[^", place) else 1
    place += pattern.startswith("]", place)  # a bracket that comes first is one of the characters
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place + 1


def _end_of_group(pattern: str, place: int) -> int:
    depth = 0
    while place < len(pattern):
        depth += (pattern[place] == "(") - (pattern[place] == ")")
        place = _end_of_item(pattern, place)
        if not depth:
            break
    return place
