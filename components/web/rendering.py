"""Replies as HTML that is safe to show to anybody: CommonMark as the chat page reads it, formulas as TeX.

HTML in a reply is text; there is no style, script or picture in what comes of it, and links lead away without telling
from where.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from components.ui.markdown.emphasis import CjkParser
from components.ui.markdown.formulas import install_formulas
from components.ui.markdown.parsing import DEEPEST_NESTING


def to_html(text: str) -> str:
    """The reply as HTML."""
    return str(_parser().render(text))


class _Renderer(RendererHTML):
    """Renders what markdown-it knows as it does, but for what a strict policy forbids."""

    def formula(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """A formula on lines of its own."""
        return f"<pre><code>{escapeHtml(tokens[index].content)}</code></pre>\n"

    def formula_span(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """A formula in a line."""
        return f"<code>{escapeHtml(tokens[index].content)}</code>"

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """A picture as a link: who reads this must not be seen by the server that has it."""
        token = tokens[index]
        alt = self.renderInlineAsText(token.children, options, env) if token.children else ""
        source = str(token.attrGet("src") or "")
        return f'<a href="{escapeHtml(source)}" {_REL}>{escapeHtml(alt or source)}</a>'

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """A link that no search engine follows."""
        tokens[index].attrSet("rel", "nofollow noopener noreferrer ugc")
        return self.renderToken(tokens, index, options, env)

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """A table, which may be wider than the page."""
        return '<div class="scroll"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """Its end."""
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """A cell, aligned by a class."""
        alignment = str(tokens[index].attrs.pop("style", "")).removeprefix("text-align:")
        if alignment in ("right", "center"):
            tokens[index].attrSet("class", alignment)
        return self.renderToken(tokens, index, options, env)

    td_open = th_open


_REL = 'rel="nofollow noopener noreferrer ugc"'


@cache
def _parser() -> MarkdownIt:
    parser: Any = MarkdownIt("zero", renderer_cls=_Renderer)
    parser.inline = CjkParser()
    parser.configure("commonmark", {"html": False, "maxNesting": DEEPEST_NESTING})
    parser.enable(["table", "strikethrough"])
    install_formulas(parser)
    return parser  # type: ignore[no-any-return]
