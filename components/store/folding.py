"""Texts as they are searched: without differences of case and width."""

import unicodedata


def fold(text: str) -> str:
    """``text`` for comparison: Ｂａｉｃｈｕａｎ, BAICHUAN and baichuan are one, and so are ㍻ and 平成.

    NUL, which PostgreSQL cannot keep, is left out.
    """
    return unicodedata.normalize("NFKC", text).casefold().replace("\0", "")
