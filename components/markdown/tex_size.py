"""How large a formula in TeX is: what math_core, which draws shared pages, would not survive."""

import re
import unicodedata

LONGEST_FORMULA = 4000
"""Characters; a formula that anybody reads is shorter."""

DEEPEST_FORMULA = 100
"""Of braces, ``\\left`` and ``\\begin``, and commands whose argument is the next command: ``\\hat\\hat x``. Browsers
draw deeper ones as nonsense, if at all, and math_core, which calls itself for each, ends the process."""

MOST_OPENED = 10
"""Parentheses and the like within each other: math_core takes twice as long for each that is never closed."""

_TOKEN = re.compile(r"\\(?:left|right)(?![A-Za-z])\s*(?:\\[A-Za-z]+|\\.|.)?|\\[A-Za-z]+|\\.|\S", re.DOTALL)
_LEFT, _RIGHT = (re.compile(rf"\\{side}(?![A-Za-z])") for side in ("left", "right"))
_NAMES = "brace|brack|bracket|paren|parenthesis|angle|ang|floor|ceil|group|moustache|vert|Vert|Brace|bbrack"
_OPENING = re.compile(rf"\\(?:l{{1,2}}(?:{_NAMES})|[ul]lcorner|\{{|mathopen)")
_CLOSING = re.compile(rf"\\(?:r{{1,2}}(?:{_NAMES})|[ul]rcorner|\}}|mathclose)")


def is_too_large(tex: str) -> bool:
    """Whether a formula is longer or deeper than math_core draws safely."""
    if len(tex) > LONGEST_FORMULA:
        return True
    depth = run = opened = 0
    around: list[int] = []  # for each brace that is open: the commands right before it
    for token in _TOKEN.findall(tex):
        if token == "{":
            around.append(run)
            depth, run = depth + run + 1, 0
        elif token == "}":
            if around:
                run = around.pop()
                depth -= run + 1
        elif token == "\\begin" or _LEFT.match(token):
            depth, run = depth + 1, run + 1
        elif token == "\\end" or _RIGHT.match(token):
            depth, run = depth - 1, 0
        elif _OPENING.fullmatch(token) or unicodedata.category(token[0]) in ("Ps", "Pi"):
            opened, run = opened + 1, 0
        elif _CLOSING.fullmatch(token) or unicodedata.category(token[0]) in ("Pe", "Pf"):
            opened = max(opened - 1, 0)
        else:
            run = run + 1 if token in "^_" or (token[0] == "\\" and token[1:].isalpha()) else 0
        if depth + run > DEEPEST_FORMULA or opened > MOST_OPENED:
            return True
    return False
