"""Where one reply says something else than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from components.lab.pieces import pieces_of

LONGEST = 6_000
"""Pieces of a reply that are compared word by word: the time grows with the square. What is longer is compared line by
line."""


@dataclass(frozen=True)
class Span:
    """A stretch of a reply; ``differs`` says that the other reply has nothing like it there."""

    text: str
    differs: bool


@lru_cache(maxsize=256)
def differences(text: str, other: str) -> Sequence[Span]:
    """The whole of ``text``, stretch by stretch, as it differs from ``other``: by words, in Chinese by characters."""
    ones, others = pieces_of(text), pieces_of(other)
    if max(len(ones), len(others)) > LONGEST:
        ones, others = text.splitlines(keepends=True), other.splitlines(keepends=True)
    spans: list[Span] = []
    end = 0
    # autojunk would take frequent words of long texts for noise, and mark what is the same.
    for start, _, size in SequenceMatcher(None, ones, others, autojunk=False).get_matching_blocks():
        for piece, differs in ((ones[end:start], True), (ones[start : start + size], False)):
            if piece:
                spans.append(Span("".join(piece), differs))
        end = start + size
    return spans


def share_that_differs(spans: Sequence[Span]) -> float:
    """Which part of the characters, between 0 and 1."""
    length = sum(len(span.text) for span in spans)
    return sum(len(span.text) for span in spans if span.differs) / length if length else 0.0
