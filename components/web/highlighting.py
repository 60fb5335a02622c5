"""Code as HTML, coloured by its language; the colours are in the page's style sheet."""

from markdown_it.common.utils import escapeHtml
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

LONGEST_COLOURED = 6_000
"""Characters of a block of code. Some lexers take a time that grows with the square of it: of 20,000 backslashes behind
quotes, eight seconds."""


def code_block(code: str, language: str = "") -> str:
    """A block of code."""
    return f"<pre><code>{_coloured(code, language)}</code></pre>\n"


def code_style() -> str:
    """What colours code: in the style sheet of the page, for light and for dark."""
    light, dark = ("\n".join(_token_rules(style)) for style in ("default", "github-dark"))
    return f"@media (prefers-color-scheme: light) {{\n{light}\n}}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _token_rules(style: str) -> list[str]:
    rules: list[str] = HtmlFormatter(style=style).get_token_style_defs("pre code")  # type: ignore[no-untyped-call]
    return [rule for rule in rules if ".err " not in rule]  # code that is no code in its language is no error here


def _coloured(code: str, language: str) -> str:
    if language and len(code) <= LONGEST_COLOURED:
        try:
            lexer = get_lexer_by_name(language, stripnl=False)
        except ClassNotFound:
            pass
        else:
            return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
    return escapeHtml(code)
