"""What stands within a paragraph, a heading or a cell, as HTML."""

import re
from collections.abc import Sequence

from markdown_it.common.utils import escapeHtml
from markdown_it.tree import SyntaxTreeNode

from components.markdown.escaping import emails_in
from components.markdown.pictures import picture_label
from components.markdown.spans import HTML_BREAK, plain_text
from components.web.footnotes import Footnotes
from components.web.mathml import formula_block, formula_span

_REL = "nofollow noopener noreferrer ugc"

_OUTWARD = re.compile(r"https?://|mailto:", re.IGNORECASE)

_BREAK = "<br>"
_BLANKS = " \t\n"


class SpanRenderer:
    """Renders the spans of one block.

    Args:
        footnotes: of the reply.
        one_line: formulas have no lines of their own there.
        cell: the block is a cell of a table, which has one line of source and says ``<br>`` for a line break.
    """

    def __init__(self, footnotes: Footnotes, *, one_line: bool = False, cell: bool = False) -> None:
        self._footnotes = footnotes
        self._one_line = one_line or cell
        self._cell = cell
        self._depth = 0
        self._in_link = False
        self._out: list[str] = []
        self._parts: list[tuple[str, bool]] = []

    def render(self, spans: Sequence[SyntaxTreeNode], lead: str = "", skip: int = 0) -> list[tuple[str, bool]]:
        """Lines of text, and formulas between them: each as HTML, and whether it is text. Call it once.

        Args:
            spans: what the block holds.
            lead: HTML that goes before them.
            skip: so many characters at their start are not shown, as ``lead`` says them.
        """
        self._out.append(lead)
        for number, span in enumerate(spans):
            if number == 0 and skip:
                self._text(span.content[skip:])
            else:
                self._render(span)
        self._end_text()
        return self._parts

    def _render(self, span: SyntaxTreeNode) -> None:
        match span.type:
            case "text":
                self._text(span.content)
            case "softbreak" | "hardbreak":
                self._out.append(_BREAK)
            case "code_inline":
                self._out.append(f"<code>{escapeHtml(span.content)}</code>")
            case "strong" | "em" | "s":
                self._within(span.type, span)
            case "link":
                self._link(span)
            case "image":
                self._picture(span)
            case "formula_span":
                self._formula(span)
            case "footnote_ref":
                self._out.append(self._footnotes.reference(span.meta["label"], in_link=self._in_link))
            case _:
                raise AssertionError(f"the parser made a span that nobody renders: {span.type}")

    def _within(self, tag: str, span: SyntaxTreeNode, attributes: str = "") -> None:
        self._depth += 1
        self._out.append(f"<{tag}{attributes}>")
        for child in span.children:
            self._render(child)
        self._out.append(f"</{tag}>")
        self._depth -= 1

    def _text(self, text: str) -> None:
        lines = HTML_BREAK.split(text) if self._cell else [text]
        self._out.append(_BREAK.join(map(self._words, lines)))

    def _words(self, text: str) -> str:
        if self._in_link:
            return escapeHtml(text)
        found, end = [], 0
        for email in emails_in(text):
            found += [escapeHtml(text[end : email.start()]), _anchor(f"mailto:{email[0]}", escapeHtml(email[0]))]
            end = email.end()
        return "".join(found) + escapeHtml(text[end:])

    def _link(self, span: SyntaxTreeNode) -> None:
        address = _outward(str(span.attrs.get("href", "")))
        if address is None:
            for child in span.children:
                self._render(child)
            return
        self._in_link = True
        self._within("a", span, _attributes(address, str(span.attrs.get("title", ""))))
        self._in_link = False

    def _picture(self, span: SyntaxTreeNode) -> None:
        """A picture as a link that names the host: who reads this must not be seen by the server that has it."""
        source, title = str(span.attrs.get("src", "")), str(span.attrs.get("title", ""))
        address, alt = _outward(source), plain_text(span)
        label = escapeHtml(alt if source.startswith("data:") else picture_label(source, alt))
        self._out.append(label if self._in_link or address is None else _anchor(address, label, title))

    def _formula(self, span: SyntaxTreeNode) -> None:
        """A formula; one to be displayed stands on lines of its own where that is possible."""
        display = bool(span.meta["display"])
        if not display or self._one_line or self._depth:
            self._out.append(formula_span(span.content, display=display))
            return
        if formula := formula_block(span.content):
            self._end_text(above_formula=True)
            self._parts.append((formula, False))

    def _end_text(self, *, above_formula: bool = False) -> None:
        """Ends the lines of text; beside a formula they end or begin with no break or blank."""
        html = "".join(self._out)
        if self._parts:
            html = html.lstrip(_BLANKS).removeprefix(_BREAK).lstrip(_BLANKS)
        if above_formula:
            html = html.rstrip(_BLANKS).removesuffix(_BREAK).rstrip(_BLANKS)
        if html:
            self._parts.append((html, True))
        self._out = []


def _outward(address: str) -> str | None:
    """The address if it leads to a page or mailbox elsewhere. Without a scheme it would lead to where this page is."""
    if address.lower().startswith("www."):
        return f"http://{address}"
    if address.startswith("//"):
        return f"https:{address}"
    return address if _OUTWARD.match(address) else None


def _anchor(address: str, label: str, title: str = "") -> str:
    return f"<a{_attributes(address, title)}>{label}</a>"


def _attributes(address: str, title: str) -> str:
    """Of a link that no search engine follows, and that leads away without telling from where."""
    return f' href="{escapeHtml(address)}" rel="{_REL}"' + (f' title="{escapeHtml(title)}"' if title else "")
