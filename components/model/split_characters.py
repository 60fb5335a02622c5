"""Ids of tokens that were not told because a character was not whole yet, found again by their bytes."""

from collections.abc import Sequence
from functools import cached_property

from components.model.token_texts import TokenTexts

REPLACEMENT = "\ufffd"
"""What stands for bytes that are no character; which they were cannot be known from it."""


class SplitCharacters:
    """Finds ids by bytes, in one vocabulary. For any thread."""

    def __init__(self, texts: TokenTexts, size: int, replacement: Sequence[int]) -> None:
        """``size`` is how many tokens there are; ``replacement`` are the ids of ``REPLACEMENT``."""
        self._texts = texts
        self._size = size
        self._replacement = list(replacement)

    def before(self, last: int, text: str, count: int) -> list[int]:
        """The tokens that were left out before a token that ends a character, or follows what is none.

        With SentencePiece, where they are single bytes, they are the ones that were chosen. In a vocabulary of
        byte-level BPE several could spell the same, and the longest are taken. Bytes that are no character become
        ``REPLACEMENT``.

        Args:
            last: the token that was told.
            text: what all of them come to.
            count: how many were left out.
        """
        whole, end = text.encode(), self._texts.shown(last)
        if whole.endswith(end):
            left = whole.removesuffix(end) if end else whole
            if REPLACEMENT.encode() not in left and (found := self._split(left, count)) is not None:
                return found
        return self._replacement

    def _split(self, text: bytes, count: int) -> list[int] | None:
        if count == 0:
            return None if text else []
        for length in range(len(text) - count + 1, 0, -1):
            first = self._ids.get(text[:length])
            if first is not None and (rest := self._split(text[length:], count - 1)) is not None:
                return [first, *rest]
        return None

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {self._texts.shown(id_): id_ for id_ in reversed(range(self._size))}
