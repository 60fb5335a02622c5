"""Texts as they are kept and as they are searched."""

import re
import unicodedata

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """``text`` with a mark in place of what databases cannot keep: NUL, and halves of characters."""
    return _NOT_STORABLE.sub("\ufffd", text)


def fold(text: str) -> str:
    """``text`` for comparison, without differences of case and width.

    Ｂａｉｃｈｕａｎ, BAICHUAN and baichuan are one, and so are ㍻ and 平成.
    """
    return unicodedata.normalize("NFKC", storable(text)).casefold()
