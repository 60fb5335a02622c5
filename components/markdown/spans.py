"""What stands within a paragraph, a heading or a cell, written anew for Streamlit."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

from markdown_it.tree import SyntaxTreeNode

from components.markdown.escaping import (
    SEPARATOR,
    escape_code,
    escape_destination,
    escape_line_start,
    escape_text,
    escape_title,
)
from components.markdown.pictures import may_show, picture_label
from components.markdown.tex import formula_block, formula_span

_MARKS = {"strong": "**", "em": "_", "s": "~~"}

_AUTOLINK = re.compile(r"(?!.*:(?:[\w+-]+:|material/))[a-z][a-z0-9+.-]+:[^\s<>\x00-\x20]+", re.IGNORECASE)
"""An address that can be written between ``<`` and ``>``, with nothing in it that Streamlit takes for a picture."""
TASK = re.compile(r"\[[ xX]\] (?=\S|\Z)")
"""A box to tick, at the start of a list item; behind its blank stands a word, or another span."""
HTML_BREAK = re.compile(r"</?br */?>", re.IGNORECASE)
"""A line break in a cell. Blanks around it are not shown; a pattern with them takes the square of their number."""

_LINE_BREAK = "\\\n"
_CELL_BREAK = "&#10;"
"""A line break as a character, which cells show by the page's style sheet: a cell has one line of source."""

_BESIDE_EMPHASIS = frozenset("!\"#%&'()+,-./:;<=>?@[\\]^{|}")
"""Punctuation beside which delimiters of emphasis open and close as they should."""

Kind = Literal["plain", "opening", "closing", "code", "formula"]
"""What a piece of the output is to its neighbours."""


class SpanWriter:
    """Writes the spans of one block.

    Args:
        number_of: gives the number of the footnote with a label.
        one_line: the block has one line of source, so a line break is something else there.
        cell: the block is a cell of a table.
        task: the block begins a list item, so ``[ ]`` at its start is a box to tick.
    """

    def __init__(
        self, number_of: Callable[[str], str], *, one_line: bool = False, cell: bool = False, task: bool = False
    ) -> None:
        self._number_of = number_of
        self._one_line = one_line or cell
        self._cell = cell
        self._task = task
        self._open: list[str] = []
        self._in_link = False
        self._last: Kind = "plain"
        self._out = ""

    def write(self, spans: Sequence[SyntaxTreeNode]) -> str:
        """All of ``spans``; call it once."""
        self._write_all(spans)
        return _without_blank_ends(self._out.removesuffix(_LINE_BREAK).rstrip("\n"))

    def _write_all(self, spans: Sequence[SyntaxTreeNode]) -> None:
        for span in spans:
            match span.type:
                case "text":
                    self._write_text(span.content)
                case "softbreak" | "hardbreak":
                    self._write_break()
                case "code_inline":
                    self._put(*_code(span.content, in_table=self._cell))
                case "strong" | "em" | "s":
                    self._write_emphasis(span)
                case "link":
                    self._write_link(span)
                case "image":
                    self._write_picture(span)
                case "formula_span":
                    self._write_formula(span)
                case "footnote_ref":
                    self._put(self._number_of(span.meta["label"]))
                case _:
                    raise AssertionError(f"the parser made a span that nobody writes: {span.type}")

    def _put(self, piece: str, kind: Kind = "plain") -> None:
        if self._out and piece and _must_be_apart(self._last, self._out[-1], kind, piece[0]):
            self._out += SEPARATOR
        self._out += piece
        self._last = kind

    def _write_text(self, text: str) -> None:
        first, *others = HTML_BREAK.split(text) if self._cell else [text]
        self._write_words(first)
        for words in others:
            self._write_break()
            self._write_words(words)

    def _write_words(self, text: str) -> None:
        if self._out.endswith("\n\n"):
            text = text.lstrip()  # below a formula, which stood in this line
        if not text:
            return
        escaped = escape_text(text, in_link=self._in_link)
        if self._task and not self._out and (box := TASK.match(text)):
            escaped = box[0] + escape_text(text[box.end() :])
        elif not self._one_line and (not self._out or self._out.endswith("\n")):
            escaped = escape_line_start(escaped)
        self._put(escaped)

    def _write_break(self) -> None:
        if self._cell:
            self._put(_CELL_BREAK)
        elif self._one_line:
            self._put(" ")
        elif self._out and not self._out.endswith("\n"):
            self._put(_LINE_BREAK)

    def _write_emphasis(self, span: SyntaxTreeNode) -> None:
        """Emphasis; what is emphasised twice in the same way looks as if it were once."""
        if span.type in self._open:
            self._out += SEPARATOR  # the texts in and around it stay apart
            self._write_all(span.children)
            self._out += SEPARATOR
            return
        self._put(_MARKS[span.type], "opening")
        start = len(self._out)
        self._open.append(span.type)
        self._write_all(span.children)
        self._open.pop()
        self._out = self._out[:start] + _without_blank_ends(self._out[start:])
        self._put(_MARKS[span.type], "closing")

    def _write_link(self, span: SyntaxTreeNode) -> None:
        address, title = str(span.attrs.get("href", "")), str(span.attrs.get("title", ""))
        if not title and plain_text(span) == address and _AUTOLINK.fullmatch(address):
            self._put(f"<{address}>")
            return
        self._put("[")
        self._in_link = True
        self._write_all(span.children)
        self._in_link = False
        self._put(_target(address, title))

    def _write_picture(self, span: SyntaxTreeNode) -> None:
        """A picture; one from elsewhere is a link that names the host, because showing it would fetch it unasked."""
        address, title = str(span.attrs.get("src", "")), str(span.attrs.get("title", ""))
        alt = plain_text(span)
        if may_show(address):
            self._put(f"![{escape_text(alt, in_link=True)}{_target(address, title)}")
            return
        label = escape_text(picture_label(address, alt), in_link=True)
        self._put(label if self._in_link else f"[{label}{_target(address, title)}")

    def _write_formula(self, span: SyntaxTreeNode) -> None:
        """A formula; one to be displayed stands on lines of its own where that is possible."""
        display = bool(span.meta["display"])
        if not display or self._one_line or self._open or self._in_link:
            self._put(formula_span(span.content, display=display, in_table=self._cell), "formula")
            return
        if not (formula := formula_block(span.content)):
            return
        above = self._out.removesuffix(_LINE_BREAK).rstrip(" \n")
        self._out = (f"{above}\n\n" if above else "") + formula + "\n\n"
        self._last = "plain"


def _must_be_apart(last: Kind, before: str, kind: Kind, after: str) -> bool:
    """Whether a piece that begins with ``after`` would be misread right behind one that ends with ``before``."""
    if before.isspace() or after.isspace():
        return False
    if last == "closing" and kind != "closing":
        return after not in _BESIDE_EMPHASIS
    if kind == "opening" and last != "opening":
        return before not in _BESIDE_EMPHASIS
    if kind == "code" or last == "code":
        return before == after == "`"
    if last == "formula":
        return after == "$" or after.isdigit()
    return kind == "formula" and before == "$"


def _without_blank_ends(written: str) -> str:
    """``written`` with white space at its ends as character references, which nothing takes away."""
    start, end = len(written) - len(written.lstrip()), len(written.rstrip())
    if start >= end:
        return _references(written)
    return _references(written[:start]) + written[start:end] + _references(written[end:])


def _references(blanks: str) -> str:
    return "".join(blank if blank == "\n" else f"&#{ord(blank)};" for blank in blanks)


def _code(content: str, *, in_table: bool) -> tuple[str, Kind]:
    content = escape_code(content)
    if in_table and "|" in content:
        if "\\|" in content:  # a table's source has no way to say this in code
            return escape_text(content), "plain"
        content = content.replace("|", r"\|")
    runs = {len(run) for run in re.findall("`+", content)}
    fence = "`" * next(length for length in range(1, len(runs) + 2) if length not in runs)
    if content.startswith("`") or content.endswith("`") or (content[0] == content[-1] == " " and content.strip()):
        content = f" {content} "
    return f"{fence}{content}{fence}", "code"


def _target(address: str, title: str) -> str:
    """The second half of a link or picture. Without a scheme it would lead to this server."""
    address = f"http://{address}" if address.startswith("www.") else address
    return f"](<{escape_destination(address)}>" + (f' "{escape_title(title)}")' if title else ")")


def plain_text(span: SyntaxTreeNode) -> str:
    """The text of a span without its marks."""
    if span.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(plain_text(child) for child in span.children) if span.children else span.content
