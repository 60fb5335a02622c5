"""Texts as they are kept and as they are searched."""

import math
import re
import unicodedata
from typing import Any

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """``text`` with a mark in place of what databases cannot keep: NUL, and halves of characters."""
    return _NOT_STORABLE.sub("\ufffd", text)


def fold(text: str) -> str:
    """``text`` for comparison, without differences of case and width.

    Ｂａｉｃｈｕａｎ, BAICHUAN and baichuan are one, and so are ㍻ and 平成.
    """
    return unicodedata.normalize("NFKC", storable(text)).casefold()


def finite(value: Any) -> Any:
    """A value of JSON with null in place of the numbers that it does not have: NaN and the infinities."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: finite(one) for key, one in value.items()}
        case list() | tuple():
            return [finite(one) for one in value]
    return value
