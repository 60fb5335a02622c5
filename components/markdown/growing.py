"""Text whose end is not there yet.

What is open is closed, so that bold text is bold from its first word on; and marks that may still become something
else, such as a line of nothing but ``-`` or half a link, are held back until it is clear what they are.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token
from markdown_it.utils import EnvType

MOST_CLOSED = 20
"""So many marks are closed; nobody nests deeper, and every level is one of Python's stack."""

_GROWING = "growing"
_OPEN_ENDED = "open_ended"

_MARKS_ALONE = re.compile(r"[ \t>]*(?:[-+*]|\d{1,9}[.)]?)?[ \t]*(?:#{1,6}|[-=_*`~|:$\\ \t]*|\[[ xX]?\]?)[ \t]*")
"""A line that may still become a list item, a heading, a rule, a fence, a formula, or the second line of a table."""

_OPEN_MARKS = " \t\n*_~`\\"
_OPEN_LINK = re.compile(r"!?\[(?P<label>[^\[\]\n]*)\](?:\([^)\n]*|\[[^\]\n]*)$")
_TABLE_LINES = re.compile(r"(?:\n|^)[ \t]*\|[^\n]*(?:\n[^\n]*)?$")

_HALF_BREAK = re.compile(r"(?<![ \t])[ \t]*</?(?:b(?:r *)?)?/?$", re.IGNORECASE)
"""Of what breaks a line in a cell."""

_PAIRED = {ord(mark) for mark in "*_~"}


def is_growing(env: EnvType) -> bool:
    """Whether more text will follow what is parsed."""
    return bool(env.get(_GROWING))


def is_open_ended(env: EnvType) -> bool:
    """Whether the spans that are parsed now stand at the end of a text that grows."""
    return bool(env.get(_OPEN_ENDED))


def without_unclear_end(text: str) -> str:
    """``text`` without a last line that consists of marks only."""
    start = text.rfind("\n") + 1
    return text[:start] if _MARKS_ALONE.fullmatch(text, start) else text


def growing_env(env: EnvType) -> EnvType:
    """The definitions in ``env``, for a text that grows. What it defines itself is not kept."""
    footnotes = env.get("footnotes", {})
    return {
        "references": dict(env.get("references", {})),
        "footnotes": {"refs": dict(footnotes.get("refs", {})), "list": dict(footnotes.get("list", {}))},
        "numbers": dict(env.get("numbers", {})),
        _GROWING: True,
    }


def install_growing(md: MarkdownIt) -> None:
    """Let ``md`` close what is open where ``growing_env`` says that the text grows."""
    md.core.ruler.at("inline", _parse_spans)
    md.inline.ruler.before("backticks", "open_code", _open_code)
    md.inline.ruler.before("link", "open_link", _open_link)
    md.inline.ruler2.after("balance_pairs", "open_pairs", _close_pairs)


def _parse_spans(state: StateCore) -> None:
    """Parse the spans of all blocks; those of the last one are open at their end."""
    last = _last_growing(state.tokens) if is_growing(state.env) else -1
    for index, token in enumerate(state.tokens):
        if token.type != "inline":
            continue
        state.env[_OPEN_ENDED] = index == last
        if index == last:
            in_paragraph = state.tokens[index - 1].type == "paragraph_open"
            content = _TABLE_LINES.sub("", token.content) if in_paragraph else token.content
            if state.tokens[index - 1].type in ("th_open", "td_open"):
                content = _HALF_BREAK.sub("", content)
            token.content = content.rstrip(_OPEN_MARKS)
        token.children = []
        state.md.inline.parse(token.content, state.md, state.env, token.children)


def _last_growing(tokens: list[Token]) -> int:
    """The place of the spans that the next character of the text would belong to."""
    for index in reversed(range(len(tokens))):
        token = tokens[index]
        if token.type == "inline" and (token.content or tokens[index - 1].type != "td_open"):
            return index
        if token.nesting != -1 and token.type not in ("inline", "td_open"):
            return -1  # code, a rule or a formula; the empty cells of a row are no more than its rest
    return -1


def _open_code(state: StateInline, silent: bool) -> bool:
    """Code within a line that has no end yet."""
    if not is_open_ended(state.env) or state.src[state.pos] != "`":
        return False
    start = state.pos
    while start < state.posMax and state.src[start] == "`":
        start += 1
    marks = state.src[state.pos : start]
    if re.search(rf"(?<!`){marks}(?!`)", state.src[start : state.posMax]):
        return False
    content = state.src[start : state.posMax].replace("\n", " ").strip(" ")
    if content and not silent:
        token = state.push("code_inline", "code", 0)
        token.markup = marks
        token.content = content
    state.pos = state.posMax
    return True


def _open_link(state: StateInline, silent: bool) -> bool:
    """A link whose address has no end yet is its text."""
    if not is_open_ended(state.env) or silent or state.src[state.pos] not in "![":
        return False
    match = _OPEN_LINK.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    state.append_pending(match["label"])
    state.pos = state.posMax
    return True


def _close_pairs(state: StateInline) -> None:
    """Give every ``**``, ``*``, ``_`` and ``~~`` that opened and was not closed an end at the end of the text."""
    if not is_open_ended(state.env):
        return
    delimiters = state.delimiters
    for opening in [delimiter for delimiter in reversed(delimiters) if _is_open(delimiter)][:MOST_CLOSED]:
        mark = Token("text", "", 0, content=state.tokens[opening.token].content)
        state.tokens.append(mark)
        opening.end = len(delimiters)
        delimiters.append(
            Delimiter(opening.marker, opening.length, len(state.tokens) - 1, end=-1, open=False, close=False)
        )


def _is_open(delimiter: Delimiter) -> bool:
    """Whether it waits for its end. A single mark that could as well close, as in ``5*3``, is not taken for one."""
    if delimiter.marker not in _PAIRED or delimiter.end != -1 or not delimiter.open:
        return False
    return delimiter.length != 1 or not delimiter.close
