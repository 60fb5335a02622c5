"""Formulas, written for Streamlit's renderer: remark-math, and KaTeX behind it."""

import re

_NUMBERED = re.compile(r"\\(begin|end)\{(equation|align|alignat|gather)\}")

_UNKNOWN = re.compile(r"\\(begin|end)\{(multline|flalign|eqnarray)\*?\}")
_NEAREST = {"multline": "gather", "flalign": "align", "eqnarray": "align"}
"""What KaTeX has in place of environments that it does not know."""


def formula_block(tex: str) -> str:
    """A formula on lines of its own; without TeX, nothing."""
    if not tex.strip():
        return ""
    fence = _dollars(tex, least=2)
    return f"{fence}\n{unnumbered(tex.strip())}\n{fence}"


def formula_span(tex: str, *, display: bool, in_table: bool) -> str:
    """A formula within a line, as large as one on its own if it is a ``display`` formula."""
    tex = rf"\displaystyle {unnumbered(tex)}" if display else unnumbered(tex)
    if in_table:
        tex = tex.replace(r"\|", r"\Vert ").replace("|", r"\vert ").strip()
    if (len(tex) - len(tex.rstrip("\\"))) % 2:
        tex += "{}"  # a backslash right before the dollar sign
    fence = _dollars(tex, least=1)
    return f"{fence}{tex}{fence}"


def _dollars(tex: str, least: int) -> str:
    """More dollar signs than stand together in the formula: remark-math knows no escaped ones there."""
    return "$" * max(least, max((len(run) + 1 for run in re.findall(r"\$+", tex)), default=0))


def unnumbered(tex: str) -> str:
    """Without numbers for equations, which the browser would count through the whole page."""
    known = _UNKNOWN.sub(lambda match: rf"\{match[1]}{{{_NEAREST[match[2]]}}}", tex)
    return _NUMBERED.sub(r"\\\1{\2*}", known)
