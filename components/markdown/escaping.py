r"""Text that Streamlit's page shows as it is.

Streamlit's renderer is remark with GitHub's extensions, formulas and directives, and plugins that change the text
after it was parsed: ``:smile:`` and ``:material/home:`` become pictures, ``->`` and ``--`` other characters, and what
looks like an address a link. Those see the same text with or without backslashes. ``SEPARATOR`` keeps them from it.
"""

import re

SEPARATOR = ":color[]{}"
"""A directive of Streamlit's that shows nothing and colours nothing: an empty element between two texts. It is
punctuation on both sides, so emphasis beside it opens and closes; and it is not in what a reader copies."""

_SEPARATOR_AFTER_COLON = rf"\:{SEPARATOR}"
"""A directive cannot follow a colon unless that has a backslash."""

_ARROW = r"[<>=~-]{2,}"

# A colon gets a backslash unless a blank follows: the name of a directive may begin with a digit, an emoji or a letter
# of any script, and ``10:30[a](b)`` would show ``10:30`` and no more.
_MEANT_OTHERWISE = re.compile(
    r"(?P<shortcode>:(?=[A-Za-z0-9_+-]+:|material[/_]))"
    rf"|(?P<arrow>(?<!\S){_ARROW}|(?<![<>=~-]){_ARROW}(?!\S))"
    r"|(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?(?=://)|[Ww]{3}(?=\.))"
    r"|(?P<email>(?<![A-Za-z0-9_.+@-])[A-Za-z0-9.+_-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]*[A-Za-z])+)"
    r"|(?P<colon>:(?![ \t]))"
    r"|(?P<entity>&(?=[#A-Za-z]))"
    r"|(?P<mark>[\\`*_\[\]<>$~|]|!\Z)"
)

_LINE_START = re.compile(r"(?P<number>\d{1,9})(?P<point>[.)])|(?P<mark>[#+=:-])|(?P<blank>[ \t])")


def escape_text(text: str, *, in_link: bool = False) -> str:
    """``text``, written so that it stays text wherever it stands within a line; an e-mail address becomes a link."""
    return _MEANT_OTHERWISE.sub(_escape_in_link if in_link else _escape, text)


def escape_line_start(text: str) -> str:
    """An escaped text, written so that it begins no list, heading or rule at the start of a line."""
    match = _LINE_START.match(text)
    if match is None:
        return text
    if match["blank"]:
        return f"&#{ord(text[0])};{text[1:]}"
    return f"{match['number'] or ''}\\{text[match.end() - 1 :]}"


def escape_destination(address: str) -> str:
    """An address for between ``<`` and ``>`` in a link. It holds no blanks and no ``<``, ``>`` or backslash."""
    address = address.replace("|", "%7C").replace(":material/", "%3Amaterial/")
    return re.sub(r"&(?=[#A-Za-z])", r"\&", address)


def escape_title(title: str) -> str:
    """The title of a link, for between quotation marks."""
    return re.sub(r'[\\"`|]|&(?=[#A-Za-z])|:(?=material/)', r"\\\g<0>", " ".join(title.split()))


def escape_code(code: str) -> str:
    """Code, in which Streamlit replaces this one word. Nothing but a mark without width keeps it from that."""
    return code.replace(":material/", ":\u2060material/")


def _escape_in_link(match: re.Match[str]) -> str:
    return match[0] if match.lastgroup in ("scheme", "email") else _escape(match)


def _escape(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "shortcode":
            return _SEPARATOR_AFTER_COLON
        case "arrow":
            return SEPARATOR.join(rf"\{mark}" for mark in match[0])
        case "scheme":
            return match[0] + SEPARATOR
        case "email":
            return f"<{match[0]}>"
        case _:
            return rf"\{match[0]}"


def escape_label(text: str) -> str:
    """A text as the label of a button or link, which is Markdown without links."""
    return escape_line_start(escape_text(text, in_link=True))


def emails_in(text: str) -> list[re.Match[str]]:
    """The e-mail addresses in a text, which ``escape_text`` makes links of."""
    return [match for match in _MEANT_OTHERWISE.finditer(text) if match.lastgroup == "email"]
