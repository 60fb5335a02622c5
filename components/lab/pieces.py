"""Texts as words: what the lab compares and counts, in any language."""

import re

_CJK = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts that put no blanks between words: each character is a piece of its own."""

_PIECE = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])\w)+(?:['’](?:(?![{_CJK}])\w)+)*|\s+|[^\w\s]")


def pieces_of(text: str) -> list[str]:
    """Words, single CJK characters, single marks, and the blanks between them. Joined they are ``text`` again."""
    return _PIECE.findall(text)


def words_of(text: str) -> list[str]:
    """The same without blanks, and without differences of case."""
    return [piece.casefold() for piece in pieces_of(text) if not piece.isspace()]
