"""The forms that a reply can follow, in llguidance's language, and what about one cannot be used."""

import json
import re
from collections.abc import Mapping
from typing import Any

from llguidance import LLMatcher, LLParserLimits, regex_to_lark

from components.sampling.parameters import SamplingParams

LIMITS = LLParserLimits(max_items_in_row=20_000, step_max_items=200_000, verbose_errors=False)
"""Ten and four times the library's own: 500 optional properties are a schema that people have. A step stays within
some hundredths of a second, and compiling what fits into ``SamplingParams.json_schema`` within a second or so."""


JSON_OPTIONS: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""Free white space is where small models lose themselves: nothing in a schema ends it."""

_CLASSES = (r"\d", r"\D", r"\w", r"\W", r"\s", r"\S")

_ITEMS = re.compile(r"\\.|\[\^?\]?|.", re.DOTALL)
"""Escapes, beginnings of brackets with the closing one that is a character there, and all other characters."""


def lark_of(sampling: SamplingParams) -> str | None:
    """What a reply follows, in llguidance's form of Lark's language; None if it is free, or follows a JSON schema."""
    if sampling.regex is not None:
        return f"start: /{_slashed(sampling.regex)}/"
    if sampling.choice is not None:
        return f"start: {' | '.join(json.dumps(text) for text in dict.fromkeys(sampling.choice))}"
    return sampling.grammar


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """What about a JSON schema cannot be used, in the library's words; None if it can."""
    try:
        source = LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=JSON_OPTIONS)
    except ValueError as error:
        return shortened(str(error))
    return shortened(str(LLMatcher.validate_grammar(source, None, limits=LIMITS))) or None


def _slashed(regex: str) -> str:
    r"""A regular expression as it stands between slashes, on one line.

    ``\d`` and ``\w`` mean ASCII, as in a JSON schema's patterns and with vLLM; the library's own mean all of Unicode.
    """
    ends_open = (len(regex) - len(regex.rstrip("\\"))) % 2  # the library would quietly drop that backslash
    return regex_to_lark(with_plain_hyphens(regex), "dw") + "\\" * ends_open


def with_plain_hyphens(regex: str) -> str:
    r"""A regular expression in which a hyphen beside ``\d`` or the like, within brackets, can be nothing but a hyphen.

    Such a class neither begins nor ends a range. The library writes it out in brackets of its own, and would read
    ``[+-\d]`` as a range up to the first of them. Two hyphens are the library's sign for a difference.
    """
    items = _ITEMS.findall(regex)
    kept, depth = "", 0
    for item, before, after in zip(items, ["", *items], [*items[1:], ""], strict=False):
        depth += item.startswith("[") - (item == "]" and depth > 0)
        is_beside_class = before in _CLASSES or after in _CLASSES
        kept += r"\-" if item == "-" and depth and is_beside_class and "-" not in (before, after) else item
    return kept


def shortened(text: str) -> str:
    """A message of the library's, on one line."""
    return " ".join(text.split())[:300]
