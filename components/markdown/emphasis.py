"""Emphasis beside text without spaces between words.

CommonMark decides by the characters around ``**`` whether it opens or closes, and takes for granted that words are
separated: in ``**50%**左右`` nothing closes. Here a Chinese, Japanese or Korean character beside a delimiter counts as
a word boundary does, for every delimiter and in the same words as the amendment that is proposed for CommonMark
(https://github.com/tats-u/markdown-cjk-friendly).
"""

import unicodedata

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType


class CjkState(StateInline):
    """Knows that a character of these scripts ends a word."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        """Whether the run of delimiters at ``start`` opens, whether it closes, and how long it is."""
        marker = self.src[start]
        end = start
        while end < self.posMax and self.src[end] == marker:
            end += 1
        before = self.src[start - 1] if start > 0 else " "
        after = self.src[end] if end < self.posMax else " "
        left = _flanks(after, before)
        right = _flanks(before, after)
        can_open = left and (canSplitWord or not right or _is_boundary(before))
        can_close = right and (canSplitWord or not left or _is_boundary(after))
        return Scanned(can_open, can_close, end - start)


class CjkParser(ParserInline):
    """Markdown-it's own parser of spans, with that state."""

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        """Parse the spans of a paragraph into ``tokens``."""
        state = CjkState(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


def is_cjk(character: str) -> bool:
    """Whether it is one of those that stand without spaces: wide, half-width or full-width."""
    return unicodedata.east_asian_width(character) in "WFH"


def _flanks(inner: str, outer: str) -> bool:
    """Whether delimiters between ``outer`` and ``inner`` can belong to ``inner``."""
    if isWhiteSpace(ord(inner)):
        return False
    return not _is_punctuation(inner) or isWhiteSpace(ord(outer)) or _is_boundary(outer)


def _is_boundary(character: str) -> bool:
    return _is_punctuation(character) or is_cjk(character)


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)
