"""Texts as words: what the lab compares and counts, in any language."""

import regex

_CJK = r"\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts that put no blanks between words: each character is a piece of its own."""

_LETTERS = rf"(?:(?![{_CJK}])(?=[\w\p{{N}}])\X)+"
r"""``\X`` is what a reader takes for one character, with all its code points: an accent, a vowel sign of Hindi or Thai,
a colour of skin. The standard library knows no such thing."""

_PIECE = regex.compile(rf"(?=[{_CJK}])\X|{_LETTERS}(?:(?=['’])\X{_LETTERS})*|(?:(?=\s)\X)+|\X")


def pieces_of(text: str) -> list[str]:
    """Words, single CJK characters, single marks, and the blanks between them. Joined they are ``text`` again."""
    pieces: list[str] = _PIECE.findall(text)
    return pieces


def words_of(text: str) -> list[str]:
    """The same without blanks, and without differences of case."""
    return [piece.casefold() for piece in pieces_of(text) if not piece.isspace()]
