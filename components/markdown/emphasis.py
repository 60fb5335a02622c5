"""Emphasis beside text without spaces between words.

CommonMark decides by the characters around ``**`` whether it opens or closes, and takes for granted that words are
separated: nothing closes in ``**50%**左右``, nor in ``**日期：**2024``. Here a Chinese, Japanese or Korean character
counts as the amendment has it that is proposed for CommonMark (https://github.com/tats-u/markdown-cjk-friendly): beside
a delimiter it is a boundary of words, and its punctuation is a letter like any other.

Beyond the amendment, signs that these scripts share with others (``“”…—·``, East Asian ambiguous in Unicode's words)
are theirs in a text that has any of their characters. And ``_``, which the amendment leaves as it is, because
``数据_2024_备份.xlsx`` is one word, stands beside theirs where the end of a clause shows that it is none.
"""

import unicodedata
from functools import cached_property

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

_CLAUSE_MARKS = frozenset("：，。！？；、…—“”‘’:,.!?;")
"""No name of a file or of a variable begins or ends with these."""


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
        left = self._flanks(after, before)
        right = self._flanks(before, after)
        can_open = left and (canSplitWord or not right or _ends_name(before, after))
        can_close = right and (canSplitWord or not left or _ends_name(after, before))
        return Scanned(can_open, can_close, end - start)

    def _flanks(self, inner: str, outer: str) -> bool:
        """Whether delimiters between ``outer`` and ``inner`` can belong to ``inner``."""
        if isWhiteSpace(ord(inner)):
            return False
        return not _is_punctuation(inner) or self._is_cjk(inner) or isWhiteSpace(ord(outer)) or _is_boundary(outer)

    def _is_cjk(self, character: str) -> bool:
        return is_cjk(character) or (unicodedata.east_asian_width(character) == "A" and self._has_cjk)

    @cached_property
    def _has_cjk(self) -> bool:
        return any(map(is_cjk, self.src))


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


def _ends_name(outer: str, inner: str) -> bool:
    """Whether underscores between these two are no part of a name."""
    return _is_punctuation(outer) or (is_cjk(outer) and inner in _CLAUSE_MARKS)


def _is_boundary(character: str) -> bool:
    return _is_punctuation(character) or is_cjk(character)


def _is_punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)
