"""Replies as HTML that is safe to show to anybody: CommonMark as the chat page reads it, formulas as MathML.

HTML in a reply is text; there is no script or picture in what comes of it, and links lead away without telling from
where. Nothing has to be fetched to read it: browsers draw MathML by themselves, and code is coloured here.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from math_core import LatexError, LatexToMathML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from components.markdown.emphasis import CjkParser
from components.markdown.formulas import install_formulas
from components.markdown.parsing import DEEPEST_NESTING
from components.markdown.tex import unnumbered

REMEMBERED_REPLIES = 256
"""What is shared is read by many; so many replies are not rendered again for that."""

LONGEST_COLOURED = 6_000
"""Characters of a block of code. Some lexers take a time that grows with the square of it: of 20,000 backslashes behind
quotes, eight seconds."""

DEEPEST_FORMULA = 100
"""Braces within braces; browsers draw deeper ones as nonsense, if at all."""

_REL = "nofollow noopener noreferrer ugc"


@lru_cache(maxsize=REMEMBERED_REPLIES)
def to_html(text: str) -> str:
    """The reply as HTML."""
    return str(_parser().render(text))


def code_style() -> str:
    """What colours code: in the style sheet of the page, for light and for dark."""
    light, dark = ("\n".join(_token_rules(style)) for style in ("default", "github-dark"))
    return f"@media (prefers-color-scheme: light) {{\n{light}\n}}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


class _Renderer(RendererHTML):
    """Renders what markdown-it knows as it does, but for what a strict policy forbids."""

    def formula(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """A formula on lines of its own."""
        tex = tokens[index].content
        if (mathml := _mathml(tex, display=True)) is None:
            return f"<pre><code>{escapeHtml(tex)}</code></pre>\n"
        return f'<div class="scroll">{mathml}</div>\n'

    def formula_span(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """A formula in a line."""
        tex, display = tokens[index].content, bool(tokens[index].meta.get("display"))
        return _mathml(tex, display=display) or f"<code>{escapeHtml(tex)}</code>"

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """A block of code, coloured if its language is known."""
        token = tokens[index]
        language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        return f"<pre><code>{_coloured(token.content, language)}</code></pre>\n"

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """A picture as a link: who reads this must not be seen by the server that has it."""
        token = tokens[index]
        alt = self.renderInlineAsText(token.children, options, env) if token.children else ""
        source = str(token.attrGet("src") or "")
        return f'<a href="{escapeHtml(source)}" rel="{_REL}">{escapeHtml(alt or source)}</a>'

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        """A link that no search engine follows."""
        tokens[index].attrSet("rel", _REL)
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


def _mathml(tex: str, *, display: bool) -> str | None:
    """The formula as MathML; None if it is none that can be drawn."""
    if _depth(tex) > DEEPEST_FORMULA:
        return None
    try:
        return _formulas().convert_with_local_state(unnumbered(tex.strip()), displaystyle=display)
    except LatexError:
        return None


def _token_rules(style: str) -> list[str]:
    rules: list[str] = HtmlFormatter(style=style).get_token_style_defs("pre code")  # type: ignore[no-untyped-call]
    return [rule for rule in rules if ".err " not in rule]  # code that is no code in its language is no error here


def _depth(tex: str) -> int:
    deepest = depth = 0
    for character in tex:
        depth += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
    return deepest


def _coloured(code: str, language: str) -> str:
    if language and len(code) <= LONGEST_COLOURED:
        try:
            lexer = get_lexer_by_name(language, stripnl=False)
        except ClassNotFound:
            pass
        else:
            return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
    return escapeHtml(code)


@cache
def _formulas() -> LatexToMathML:
    return LatexToMathML()


@cache
def _parser() -> MarkdownIt:
    parser: Any = MarkdownIt("zero", renderer_cls=_Renderer)
    parser.inline = CjkParser()
    parser.configure("commonmark", {"html": False, "maxNesting": DEEPEST_NESTING})
    parser.enable(["table", "strikethrough"])
    install_formulas(parser)
    return parser  # type: ignore[no-any-return]
