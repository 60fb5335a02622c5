"""Replies as HTML that is safe to show to anybody: what the chat page shows of them, for pages without script.

Rendered from the tree that the chat page is written from, see ``components.markdown``. HTML in a reply is text; there
is no script or picture in what comes of it, and links lead away without telling from where. Nothing has to be fetched
to read it: browsers draw MathML by themselves, and code is coloured here.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from markdown_it.tree import SyntaxTreeNode

from components.markdown.parsing import parse
from components.markdown.spans import TASK
from components.web.footnotes import Footnotes
from components.web.highlighting import code_block
from components.web.mathml import formula_block
from components.web.spans import SpanRenderer

REMEMBERED_REPLIES = 256
"""What is shared is read by many; so many replies are not rendered again for that."""


@lru_cache(maxsize=REMEMBERED_REPLIES)
def to_html(text: str, name: str = "") -> str:
    """The reply as HTML. On a page with several, each has a ``name``, which tells its footnotes from theirs."""
    try:
        tree = parse(text, {})
        return _Renderer(Footnotes(tree, name)).render(tree.children)
    except RecursionError:  # nested a thousand times, which only a joke is
        return code_block(text)


class _Renderer:
    """Renders blocks."""

    def __init__(self, footnotes: Footnotes) -> None:
        self._footnotes = footnotes

    def render(self, blocks: Iterable[SyntaxTreeNode]) -> str:
        """All of ``blocks``, one below the other."""
        return "".join(map(self._block, blocks))

    def _block(self, block: SyntaxTreeNode) -> str:
        match block.type:
            case "paragraph":
                return self._paragraph(block)
            case "heading":
                return f"<{block.tag}>{self._line(block)}</{block.tag}>\n"
            case "fence" | "code_block":
                return _code(block)
            case "formula":
                return formula_block(block.content)
            case "hr":
                return "<hr>\n"
            case "blockquote":
                return f"<blockquote>\n{self.render(block.children)}</blockquote>\n"
            case "bullet_list":
                return f"<ul>\n{self._items(block)}</ul>\n"
            case "ordered_list":
                first = int(block.attrs.get("start", 1))
                start = "" if first == 1 else f' start="{first}"'
                return f"<ol{start}>\n{self._items(block)}</ol>\n"
            case "table":
                return self._table(block)
            case "footnote_reference":
                return self._note(block)
            case _:
                raise AssertionError(f"the parser made a block that nobody renders: {block.type}")

    def _paragraph(self, block: SyntaxTreeNode, lead: str = "", skip: int = 0) -> str:
        """A paragraph, or several with formulas between them. Those of a tight list have no space around them."""
        parts = SpanRenderer(self._footnotes).render(_spans(block), lead, skip)
        return "".join(
            html if not is_text else f"{html}\n" if block.hidden else f"<p>{html}</p>\n" for html, is_text in parts
        )

    def _line(self, block: SyntaxTreeNode, *, cell: bool = False) -> str:
        """A heading or a cell."""
        return "".join(
            html for html, _ in SpanRenderer(self._footnotes, one_line=True, cell=cell).render(_spans(block))
        )

    def _items(self, block: SyntaxTreeNode) -> str:
        return "".join(map(self._item, block.children))

    def _item(self, item: SyntaxTreeNode) -> str:
        """An item; one that begins with ``[ ]`` or ``[x]`` has a box that is ticked or not."""
        first = item.children[0] if item.children else None
        spans = _spans(first) if first and first.type == "paragraph" else []
        box = TASK.match(spans[0].content) if spans and spans[0].type == "text" else None
        if first is None or box is None:
            return f"<li>{self.render(item.children)}</li>\n"
        ticked = "" if box[0].startswith("[ ]") else " checked"
        paragraph = self._paragraph(first, f'<input type="checkbox" disabled{ticked}> ', box.end())
        return f'<li class="task">{paragraph}{self.render(item.children[1:])}</li>\n'

    def _table(self, block: SyntaxTreeNode) -> str:
        """A table, which may be wider than the page."""
        parts = "".join(f"<{part.tag}>\n{self._rows(part)}</{part.tag}>\n" for part in block.children)
        return f'<div class="scroll"><table>\n{parts}</table></div>\n'

    def _rows(self, part: SyntaxTreeNode) -> str:
        return "".join(f"<tr>{''.join(map(self._cell, row.children))}</tr>\n" for row in part.children)

    def _cell(self, cell: SyntaxTreeNode) -> str:
        """A cell, aligned by a class."""
        alignment = str(cell.attrs.get("style", "")).removeprefix("text-align:")
        kind = f' class="{alignment}"' if alignment in ("right", "center") else ""
        return f"<{cell.tag}{kind}>{self._line(cell, cell=True)}</{cell.tag}>"

    def _note(self, block: SyntaxTreeNode) -> str:
        """A footnote, where it was written."""
        opening, number = self._footnotes.note(block.meta["label"])
        others = list(block.children)
        if others and others[0].type == "paragraph":
            first = self._paragraph(others.pop(0), f"{number} ")
        else:
            first = f"<p>{number}</p>\n"
        return f"{opening}\n{first}{self.render(others)}</div>\n"


def _spans(block: SyntaxTreeNode) -> Sequence[SyntaxTreeNode]:
    """What the block's only child, its line of text, holds."""
    return block.children[0].children if block.children else []


def _code(block: SyntaxTreeNode) -> str:
    """Code. A drawing in Mermaid's language is code, too: only a script could draw it."""
    language = block.info.split(maxsplit=1)[0] if block.info.strip() else ""
    return formula_block(block.content) if language == "math" else code_block(block.content, language)
