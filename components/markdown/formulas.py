r"""Formulas as models write them: ``$…$``, ``\(…\)``, ``$$…$$``, ``\[…\]`` and ``\begin{align}…\end{align}``.

The rules of mdit-py-plugins know some of these forms each; none tells ``$7 (US$)`` from a formula, takes the ``>`` off
a formula in a quote, or can hold back a formula whose end is not there yet.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from components.markdown.growing import is_growing, is_open_ended

MOST_LINES = 60
"""A formula has no more; what never ends must not hold back the rest of a reply."""

_ENVIRONMENT = (
    r"\\begin\{(?P<name>(?:subequations|equation|align|alignat|aligned|alignedat|gather|gathered|split|multline|flalign"
    r"|eqnarray|array|[pbBvV]?matrix|smallmatrix|d?r?cases|CD)\*?)\}"
)

_BLOCK_START = re.compile(rf"\\\[|\$\$|{_ENVIRONMENT}")

_AFTER_BLOCK = re.compile(r"\s*(?P<stop>[.,;]?)\s*")

_SPAN = re.compile(
    r"\\\((?P<parentheses>.{1,2000}?)\\\)"
    r"|(?P<display>\\\[(?P<brackets>.{1,2000}?)\\\](?!\()|\$\$(?P<dollars>[^$]{1,2000})\$\$"
    rf"|(?P<environment>{_ENVIRONMENT}.{{1,2000}}?\\end\{{(?P=name)\}}))"
    r"|\$(?P<dollar>(?:\\.|[^$\\\n]){1,2000})\$(?!\$)",
    re.DOTALL,
)

_CLOSING_MARKS = r"\"'”’»)\]}）】」』》"
"""No formula begins with these: the dollar sign before them is the last thing in quotes or brackets."""

_UNFINISHED = re.compile(
    rf"\\[\[(]|\$\$|\$(?![\s\d{_CLOSING_MARKS}]|\*\*)|{_ENVIRONMENT}|\\(?:b(?:e(?:g(?:i(?:n(?:\{{[a-z]*)?)?)?)?)?)?$"
)

_CITATION = re.compile(r"\\\[\d+(?:[ ,，、;–—-]+\d+)*\\\]")
r"""Plain numbers, in brackets that are escaped so as to be no link: ``\[1\]``, ``\[2, 5-7\]``."""

_NO_START = re.compile(rf"[\s{_CLOSING_MARKS}]|\*\*")

_COMMAND = re.compile(r"(?<!\\)(?:\\\\)*\\[A-Za-z]")
_INDEX = re.compile(r"\^[\w{]|(?:\A|(?<![A-Za-z])[A-Za-z]|[)}\]])_(?!_)[\w{]|\A[A-Za-z]\Z")
_ONLY_INDEX = re.compile(r"[A-Za-z]?[_^](?:[A-Za-z0-9]|\{[^{}]*\})")
"""What a formula right beside a letter or digit has: a command, an index, or nothing but one letter. All else may be
two amounts or two variables of a shell: ``$5-$6``, ``$FIRST_NAME$LAST_NAME``."""

_CJK = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
_AMOUNT = re.compile(
    r"\d(?:[^\\]*\s[^\w\\]*[A-Za-z]{2,}|.*(?<![A-Za-z])(?:US|HK|NT|NZ|CA|AU|SG|MX|R|A|C|S)$)", re.DOTALL
)
"""Begins with a number and goes on with words, or ends with half of another amount: ``$5 to 10$``, ``$7 (US$)``."""


def install_formulas(md: MarkdownIt) -> None:
    """Let ``md`` find formulas: tokens ``formula`` (a block) and ``formula_span``, the TeX as their content."""
    md.block.ruler.before("fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    md.inline.ruler.before("escape", "formula_span", _span)


def _block(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    if state.is_code_block(first):
        return False
    line = _line(state, first)
    opening = _BLOCK_START.match(line)
    if opening is None or _CITATION.match(line) or (silent and opening[0] == "$$" and _closes_one(state, first)):
        return False
    environment = opening["name"]
    closing = rf"\end{{{environment}}}" if environment else {"$$": "$$", r"\[": r"\]"}[opening[0]]
    content: list[str] = []
    rest = line[opening.end() :]
    may_have_blanks = not rest.strip()
    for number in range(first, min(end, first + MOST_LINES)):
        if number > first:
            rest = _line(state, number)
            blank = not rest.strip()
            if (blank and not may_have_blanks) or (not blank and state.sCount[number] < state.blkIndent):
                return False
        tex, found, after = _partition(rest, closing)
        content.append(tex)
        if found:
            trailing = _AFTER_BLOCK.fullmatch(after)
            if trailing is None:
                return False
            if environment:
                content = [opening[0] + content[0], *content[1:], closing]
            _push(state, silent, number + 1, [*content, trailing["stop"]])
            return True
    if not is_growing(state.env) or end > first + MOST_LINES:
        return False
    _push(state, silent, end, [])
    return True


def _push(state: StateBlock, silent: bool, next_line: int, lines: list[str]) -> None:
    """Add the token; one without lines is held back."""
    if silent:
        return
    token = state.push("formula", "math", 0)
    token.block = True
    token.content = "\n".join(line.strip() for line in lines if line.strip())
    token.map = [state.line, next_line]
    state.line = next_line


def _line(state: StateBlock, number: int) -> str:
    """The line without what belongs to the list or quote around it."""
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


def _partition(line: str, closing: str) -> tuple[str, str, str]:
    r"""The line before and after ``closing``; ``\\]`` is LaTeX's line break and closes nothing."""
    found = re.search(rf"(?<!\\){re.escape(closing)}", line)
    return (line[: found.start()], closing, line[found.end() :]) if found else (line, "", "")


def _closes_one(state: StateBlock, line: int) -> bool:
    """Whether the paragraph that would end here has a ``$$`` that this line closes."""
    return state.src.count("$$", state.bMarks[state.line], state.bMarks[line]) % 2 == 1


def _span(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    if _CITATION.match(state.src, state.pos, state.posMax):
        return False
    match = _SPAN.match(state.src, state.pos, state.posMax)
    if match and (match["dollar"] is None or _is_formula(match)):
        if not silent:
            token = state.push("formula_span", "math", 0)
            texts = (match["parentheses"], match["brackets"], match["dollars"], match["environment"], match["dollar"])
            token.content = " ".join(next(text for text in texts if text is not None).split())
            token.meta = {"display": match["display"] is not None}
        state.pos = match.end()
        return True
    if is_open_ended(state.env) and _is_unfinished(state):
        state.pos = state.posMax  # half a formula is held back
        return True
    return False


def _is_unfinished(state: StateInline) -> bool:
    opening = _UNFINISHED.match(state.src, state.pos, state.posMax)
    return opening is not None and (opening[0] != "$" or "$" not in state.src[state.pos + 1 : state.posMax])


def _is_formula(match: re.Match[str]) -> bool:
    """Whether dollar signs around this are a formula's and not money's."""
    content, before, after = (
        match["dollar"],
        match.string[max(match.start() - 1, 0) : match.start()],
        match.string[match.end() : match.end() + 1],
    )
    if before == "$" or (_is_in_word(before + after) and not _may_stand_in_word(content, after)):
        return False
    if after.isdigit() and content[0].isdigit():
        return False  # two amounts, whatever stands between: $5 \path $5
    if _NO_START.match(content) or content[-1].isspace() or (_CJK.search(content) and "\\" not in content):
        return False
    return _AMOUNT.match(content) is None and _are_balanced(content)


def _may_stand_in_word(content: str, after: str) -> bool:
    if _COMMAND.search(content):
        return True
    if after.isdigit():  # of an amount, unless this is nothing but an index
        return _ONLY_INDEX.fullmatch(content) is not None
    return _INDEX.search(content) is not None and not any(map(str.isspace, content))


def _is_in_word(beside: str) -> bool:
    return any(character.isascii() and character.isalnum() for character in beside)


def _are_balanced(content: str) -> bool:
    """Whether every parenthesis and bracket has its other half, of whatever kind: ``[0, 1)`` is an interval."""
    depth = 0
    for character in content:
        depth += (character in "([") - (character in ")]")
        if depth < 0 and character == ")":
            return False
    return depth == 0 or "\\" in content
