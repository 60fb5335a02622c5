"""Addresses that stand in a text without any marks around them.

They end before Chinese, Japanese or Korean text and its punctuation, which follow without a space, and before the
punctuation of the sentence, as in GitHub's Markdown. linkify-it, which markdown-it would use, takes in both ``，然后``
and words such as ``setup.py``.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_START = r"(?<![A-Za-z0-9_])(?:https?://|www\.)"

_NOT_IN_ADDRESSES = (
    r"\s<>\"`\\^{}|\[\]\x00-\x1f"
    r"\u00a0-\u00bf\u2010-\u206f\u3000-\u303f"  # signs, dashes, quotes and dots; ideographic punctuation
    r"\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U0001f000-\U0003ffff"
)

_NOT_IN_HOSTS = rf"{_NOT_IN_ADDRESSES}\u0964\u0965\u0e00-\u109f\u1780-\u17ff"
"""Nor the scripts of South-East Asia, which put no spaces between words, either."""

_LETTER = rf"(?:[A-Za-z0-9]|(?![{_NOT_IN_HOSTS}_])[\w\u0300-\u036f\u0900-\u0dff])"
"""Of a host's name. The signs of Indian scripts are no letters to ``re``."""

_ESCAPED = r"\\[_*~&#.-]"
"""A mark in an address that was kept from meaning something in Markdown."""

_ADDRESS = re.compile(
    rf"{_START}(?:[A-Za-z0-9_.%+-]{{1,64}}(?::[A-Za-z0-9_.%+-]{{0,64}})?@)?"
    rf"(?:\[[0-9A-Fa-f:.]+\]|{_LETTER}(?:(?:{_LETTER}|[_.-])*(?:{_LETTER}|_))?)(?::[0-9]+)?"
    rf"(?:[/?#](?:{_ESCAPED}|[^*~{_NOT_IN_ADDRESSES}]|[*~](?![*~]))*)?",
    re.IGNORECASE,
)

_SENTENCE_MARKS = "?!.,:*_~'\""
_ENTITY = re.compile(r"&[A-Za-z0-9]{1,31};\Z")


def install_addresses(md: MarkdownIt) -> None:
    """Let ``md`` make links of bare addresses."""
    terminators = md.inline.terminator_re.pattern
    md.inline.terminator_re = re.compile(rf"{terminators}|{_START}(?=[\w\[])", re.IGNORECASE)
    md.inline.ruler.before("text", "bare_address", _bare_address)


def _bare_address(state: StateInline, silent: bool) -> bool:
    if state.linkLevel > 0 or state.src[state.pos] not in "hHwW":
        return False
    match = _ADDRESS.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    source = _without_sentence_end(match[0])
    shown = re.sub(_ESCAPED, lambda escaped: escaped[0][1:], source)
    href = state.md.normalizeLink(shown if "://" in shown else f"http://{shown}")
    if not state.md.validateLink(href):
        return False
    if not silent:
        opening = state.push("link_open", "a", 1)
        opening.attrs = {"href": href}
        opening.markup, opening.info = "linkify", "auto"
        state.push("text", "", 0).content = shown
        closing = state.push("link_close", "a", -1)
        closing.markup, closing.info = "linkify", "auto"
    state.pos += len(source)
    return True


def _without_sentence_end(address: str) -> str:
    """``address`` without what ends the sentence around it; a parenthesis is kept where it was opened in it."""
    while True:
        shorter = _ENTITY.sub("", address).rstrip(";").rstrip(_SENTENCE_MARKS).rstrip("\\")
        if shorter.endswith(")") and shorter.count(")") > shorter.count("("):
            shorter = shorter[:-1]
        if shorter == address:
            return address
        address = shorter
