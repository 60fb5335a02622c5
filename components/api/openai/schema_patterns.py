"""Regular expressions in JSON schemas, without what no automaton can look for: what stands around, and earlier groups.

A reply is held to a pattern character by character, so assertions are left out. What is left allows whatever the
pattern allows, and a little more: ``z.email()`` without its "no two dots in a row" still wants an address.
"""

import re

_LOOKAROUND = re.compile(r"\(\?<?[=!]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\\k[<'{]|\(\?P=")
_NOTHING = "(?:)"
"""In the place of an assertion: behind it may stand a quantifier, or beside it nothing else."""


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
