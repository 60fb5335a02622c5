"""Formulas as MathML, which browsers draw by themselves; what is no formula stands there as it was written."""

from functools import cache

from markdown_it.common.utils import escapeHtml
from math_core import LatexError, LatexToMathML

from components.markdown.tex import unnumbered
from components.markdown.tex_size import is_too_large
from components.web.highlighting import code_block


def formula_block(tex: str) -> str:
    """A formula on lines of its own; without TeX, nothing."""
    if not unnumbered(tex).strip():
        return ""
    mathml = _mathml(tex, display=True)
    return code_block(tex) if mathml is None else f'<div class="scroll">{mathml}</div>\n'


def formula_span(tex: str, *, display: bool) -> str:
    """A formula within a line, as large as one on its own if it is a ``display`` formula; without TeX, nothing."""
    if not unnumbered(tex).strip():
        return ""
    mathml = _mathml(rf"\displaystyle {tex}" if display else tex, display=False)
    return f"<code>{escapeHtml(tex)}</code>" if mathml is None else mathml


def _mathml(tex: str, *, display: bool) -> str | None:
    """The formula as MathML; None if it is none that can be drawn."""
    if is_too_large(tex):
        return None
    try:
        return _formulas().convert_with_local_state(unnumbered(tex.strip()), displaystyle=display)
    except LatexError:
        return None


@cache
def _formulas() -> LatexToMathML:
    return LatexToMathML()
