"""Formulas, written for Streamlit's renderer: remark-math, and KaTeX behind it."""

import re

_NUMBERED = re.compile(r"\\(begin|end)\{(equation|align|alignat|gather)\}")

_SHOWS_NOTHING = re.compile(r"\\(?:begin|end)\{subequations\}|\\label\{[^{}]*\}")
"""What KaTeX does not know and nobody misses: it is about numbers of equations, and there are none."""

_UNKNOWN = re.compile(r"\\(begin|end)\{(multline|flalign|eqnarray)\*?\}")
_NEAREST = {"multline": "gather", "flalign": "align", "eqnarray": "align"}
"""What KaTeX has in place of environments that it does not know."""


def formula_block(tex: str) -> str:
    """A formula on lines of its own; without TeX, nothing."""
    tex = unnumbered(tex).strip()
    if not tex:
        return ""
    fence = _dollars(tex, least=2)
    return f"{fence}\n{tex}\n{fence}"


def formula_span(tex: str, *, display: bool, in_table: bool) -> str:
    """A formula within a line, as large as one on its own if it is a ``display`` formula; without TeX, nothing."""
    tex = unnumbered(tex)
    if not tex.strip():
        return ""
    tex = rf"\displaystyle {tex}" if display else tex
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
    known = _SHOWS_NOTHING.sub("", tex)
    known = _UNKNOWN.sub(lambda match: rf"\{match[1]}{{{_NEAREST[match[2]]}}}", known)
    return _NUMBERED.sub(r"\\\1{\2*}", known)
