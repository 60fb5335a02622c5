"""Cuts Markdown into blocks while it is still being written.

Every block but the last is finished: whatever text follows, it stays as it is. So a page can send each block once, and
send again only the one that grows. A block is a paragraph, a heading, a table, a whole list, a fence of code or a
formula; none of these is ever cut inside.
"""

import re
from collections.abc import Iterator

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"\s*(?:[-*+]\s+|\d{1,9}[.)]\s+)?(`{3,}|~{3,})(.*)")
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_INTERRUPTING_LIST_ITEM = re.compile(r"\s{0,3}(?:[-*+]|1[.)])\s+\S")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_MAYBE_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)]?)?")
"""What may still become a list item when the line goes on."""


def split_blocks(text: str) -> list[str]:
    """The blocks of ``text``; joined, they are ``text`` again."""
    splitter = _Splitter()
    for line in _LINE.findall(text):
        splitter.feed(line)
    return splitter.blocks


def lines_with_code_flag(text: str) -> Iterator[tuple[str, bool]]:
    """Every line of ``text``, and whether it belongs to fenced code; the fences themselves do."""
    fence = _Fence()
    for line in _LINE.findall(text):
        yield line, fence.feed(line)


class _Fence:
    """Follows whether code is open."""

    def __init__(self) -> None:
        self._mark = ""

    @property
    def is_open(self) -> bool:
        return bool(self._mark)

    def feed(self, line: str) -> bool:
        """Go over a line; whether it belongs to fenced code."""
        if self._mark:
            mark = line.strip()
            if len(mark) >= len(self._mark) and set(mark) == {self._mark[0]} and line.endswith("\n"):
                self._mark = ""
            return True
        if opens := _opening_fence(line):
            self._mark = opens
        return self.is_open


class _Splitter:
    """Goes over the lines once and remembers what is open."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._fence = _Fence()
        self._in_formula = ""
        self._in_list = False
        self._after_blank = False
        self._finished = True

    def feed(self, line: str) -> None:
        """Add a line to the block it belongs to. Only the last line may lack its line break."""
        if self._starts_block(line):
            self.blocks.append("")
            self._in_list = bool(_LIST_ITEM.match(line))
            self._finished = False
        self.blocks[-1] += line
        self._follow(line)

    def _starts_block(self, line: str) -> bool:
        if not self.blocks:
            return True
        if self._fence.is_open or self._in_formula or not line.strip():
            return False
        if self._finished:
            return True
        complete = line.endswith("\n")
        indented = line[0] in " \t"
        if self._in_list:
            if indented or _LIST_ITEM.match(line) or (not complete and _MAYBE_LIST_ITEM.fullmatch(line)):
                return False
            return self._after_blank or (complete and bool(_opening_fence(line) or _HEADING.match(line)))
        if self._after_blank:
            return True
        return complete and bool(
            _HEADING.match(line) or _INTERRUPTING_LIST_ITEM.match(line) or (_opening_fence(line) and not indented)
        )

    def _follow(self, line: str) -> None:
        """Note what the line opens or closes. A line that lacks its end can still become something else."""
        self._after_blank = not line.strip()
        if not line.endswith("\n") or self._after_blank:
            return
        if self._fence.feed(line):
            self._finished = not self._fence.is_open and not self._in_list
            return
        if self._in_formula:
            if self._in_formula in line:
                self._in_formula = ""
            return
        self._in_formula = _opened_formula(line)
        self._finished = bool(_HEADING.match(line)) and not self._in_list


def _opening_fence(line: str) -> str:
    """The mark that opens fenced code in this line, or nothing."""
    match = _FENCE.match(line)
    if match is None or (match[1][0] == "`" and "`" in match[2]):  # ```this``` is code within a line
        return ""
    return match[1]


def _opened_formula(line: str) -> str:
    r"""The end mark of a formula that begins in this line and goes on in the next: ``$$`` or ``\]``, else nothing."""
    brackets: list[str] = re.findall(r"(?<!\\)\\[\[\]]", line)  # not the line break "\\\\[2pt]" of LaTeX
    if brackets and brackets[-1] == r"\[":
        return r"\]"
    stripped = re.sub(r"`[^`]*`", "", line).strip()
    if stripped.count("$$") % 2 and (stripped.startswith("$$") or stripped.endswith("$$")):
        return "$$"
    return ""
