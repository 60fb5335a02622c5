"""Blocks of a parsed reply, written anew for Streamlit.

Not by mdformat, whose output any CommonMark renderer reads the same way: Streamlit's is none, see ``escaping``.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from markdown_it.tree import SyntaxTreeNode
from markdown_it.utils import EnvType

from components.markdown.escaping import escape_code
from components.markdown.spans import SpanWriter
from components.markdown.tex import formula_block

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

_LANGUAGE = re.compile(r"[\w+#.-]+")

_DRAWN = re.compile("mermaid", re.IGNORECASE)
"""Streamlit draws this language instead of showing its code: it fetches pictures from wherever they lie, and of code
with a mistake nothing is left but a message."""

_AFTER_PARAGRAPH = frozenset({"fence", "code_block", "blockquote", "hr"})
"""What may follow a paragraph without an empty line between."""


def fenced(code: str, language: str = "") -> str:
    """``code`` between fences that are longer than any in it."""
    code = escape_code(code.removesuffix("\n"))
    code = f"\n{code}" if code.startswith("\n") else code  # Streamlit leaves one empty line at the start out
    fence = "`" * max(3, max((len(run) + 1 for run in re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{code}\n{fence}"


class MarkdownWriter:
    """Writes blocks; ``env`` is what they were parsed with."""

    def __init__(self, env: EnvType) -> None:
        self._env = env
        self._numbers: dict[str, int] = env.setdefault("numbers", {})

    def write(self, blocks: Sequence[SyntaxTreeNode], tight: bool = False) -> str:
        """All of ``blocks``, one below the other."""
        written = [(block, text) for block in blocks if (text := self._write_one(block))]
        if not written:
            return ""
        parts = [written[0][1]]
        for (above, _), (below, text) in pairwise(written):
            parts.append("\n" if tight and _may_touch(above, below) else "\n\n")
            parts.append(text)
        return "".join(parts)

    def number_of(self, label: str) -> str:
        """The footnote's number, in the order in which footnotes first come up."""
        return str(self._numbers.setdefault(label, len(self._numbers) + 1)).translate(_SUPERSCRIPTS)

    def _write_one(self, block: SyntaxTreeNode) -> str:
        match block.type:
            case "paragraph":
                return SpanWriter(self.number_of, task=_begins_item(block)).write(_spans(block))
            case "heading":
                return self._heading(block)
            case "fence" | "code_block":
                return self._code(block)
            case "formula":
                return formula_block(block.content)
            case "hr":
                return "___"
            case "blockquote":
                return _indented(self.write(block.children), "> ", "> ")
            case "bullet_list" | "ordered_list":
                return self._list(block)
            case "table":
                return self._table(block)
            case "footnote_reference":
                return self._footnote(block)
            case _:
                raise AssertionError(f"the parser made a block that nobody writes: {block.type}")

    def _heading(self, block: SyntaxTreeNode) -> str:
        """A heading; those of the first two levels can have several lines."""
        spans, level = _spans(block), int(block.tag[1:])
        if any(span.type in ("softbreak", "hardbreak") for span in block.walk()):
            text = SpanWriter(self.number_of).write(spans).replace(r"\|", "&#124;")  # no table with a line below it
            return f"{text}\n{('===', '---')[level - 1]}"
        text = re.sub("#$", r"\\#", SpanWriter(self.number_of, one_line=True).write(spans))
        return f"{'#' * level} {text}".rstrip()

    def _code(self, block: SyntaxTreeNode) -> str:
        language = block.info.split(maxsplit=1)[0] if block.info.strip() else ""
        if language == "math":
            return formula_block(block.content)
        return fenced(block.content, language if _LANGUAGE.fullmatch(language) and not _DRAWN.search(language) else "")

    def _footnote(self, block: SyntaxTreeNode) -> str:
        """A footnote behind its number, which stands above what is no line of text."""
        number, written = self.number_of(block.meta["label"]), self.write(block.children)
        if not written:
            return number
        is_line = block.children[0].type == "paragraph" and not written.startswith("$$")
        return f"{number} {written}" if is_line else f"{number}\n\n{written}"

    def _list(self, block: SyntaxTreeNode) -> str:
        tight = all(part.hidden for item in block.children for part in item.children if part.type == "paragraph")
        first = int(block.attrs.get("start", 1))
        items = []
        for number, item in enumerate(block.children, start=first):
            mark = f"{number}{item.markup} " if block.type == "ordered_list" else f"{item.markup} "
            items.append(_indented(self.write(item.children, tight), mark, " " * len(mark)))
        return ("\n" if tight else "\n\n").join(items)

    def _table(self, block: SyntaxTreeNode) -> str:
        rows = [row for part in block.children for row in part.children]
        lines = [self._row(row) for row in rows]
        lines.insert(1, "|" + "|".join(_rule(cell) for cell in rows[0].children) + "|")
        return "\n".join(lines)

    def _row(self, row: SyntaxTreeNode) -> str:
        cells = [SpanWriter(self.number_of, cell=True).write(_spans(cell)) for cell in row.children]
        return f"| {' | '.join(cells)} |"


def _spans(block: SyntaxTreeNode) -> Sequence[SyntaxTreeNode]:
    """What the block's only child, its line of text, holds."""
    return block.children[0].children if block.children else []


def _begins_item(block: SyntaxTreeNode) -> bool:
    return block.parent is not None and block.parent.type == "list_item" and block.parent.children[0] is block


def _may_touch(above: SyntaxTreeNode, below: SyntaxTreeNode) -> bool:
    """Whether ``below`` is read as a block of its own right below ``above``."""
    if above.type != "paragraph":
        return above.type in ("fence", "code_block", "heading", "hr")
    if below.type == "ordered_list" and int(below.attrs.get("start", 1)) != 1:
        return False
    return below.type in _AFTER_PARAGRAPH or (below.type.endswith("_list") and bool(below.children[0].children))


def _rule(cell: SyntaxTreeNode) -> str:
    match str(cell.attrs.get("style", "")).removeprefix("text-align:"):
        case "left":
            return ":--"
        case "right":
            return "--:"
        case "center":
            return ":-:"
        case _:
            return "---"


def _indented(text: str, first: str, others: str) -> str:
    """``text`` behind a mark on its first line, and as far in on the others."""
    lines = text.split("\n")
    marks = [first, *[others] * (len(lines) - 1)]
    return "\n".join(mark + line if line else mark.rstrip() for mark, line in zip(marks, lines, strict=True))
