r"""From the Markdown that models write to the Markdown that Streamlit shows.

Models write formulas as ``\( \)`` and ``\[ \]``, which Streamlit does not know; and Streamlit gives a meaning to
``:red[…]``, ``:smile:``, single tildes and every pair of dollar signs, which models do not mean. Code is never
touched. HTML stays text either way; here it also stays out of the way of the Markdown that stands beside it.
"""

import re
from itertools import groupby
from operator import itemgetter

from components.ui.markdown.blocks import lines_with_code_flag

_PUNCTUATION = "：，。！？；、）】》」”’:,.!?;)"
_OPENING = "（【《「“‘("

_CODE_OR_FORMULA = (
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<display>(?:\$\$(?P<dollars>.+?)\$\$|(?<!\\)\\\[(?P<brackets>.+?)\\\])(?P<stop>[.,;](?=[ \t]*$))?)"
    r"|(?P<inline>\\\((?P<parentheses>.+?)\\\)"
    # Money is no formula: "$5 to 10$" has words behind a number, "价格是$5，不是5$" has Chinese inside.
    r"|(?<![$A-Za-z0-9])\$(?![\s$])(?!\d[^$\n\\]*\s[A-Za-z]{2,}[^$\n\\]*\$)(?![^$\n\\]*[\u3000-\u9fff\uff00-\uffef])"
    r"(?P<dollar_text>(?:\\.|[^$\\\n])*?)(?<!\s)\$(?![A-Za-z0-9$]))"
)

_SPAN = re.compile(
    _CODE_OR_FORMULA + r"|(?P<link>https?://[^\s<>)\]]+|mailto:\S+)"
    r"|(?P<table_rule>^[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$)"
    rf"|(?P<bold>\*\*(?P<before>[{_OPENING}]*)(?P<strong>[^*\n]*?[^*\n{_PUNCTUATION}])(?P<after>[{_PUNCTUATION}]*)\*\*)"
    r"|(?P<escaped>\\.)"
    r"|(?P<image>!(?=\[[^\]]*\]\())"
    r"|(?P<dollar>\$)"
    r"|(?P<tilde>(?<!~)~(?!~))"
    r"|(?P<tag><(?=[A-Za-z/!?])(?!https?:|mailto:))"
    r"|(?P<icon>:(?=(?:material/\w+|streamlit):))"
    r"|(?P<emoji>:(?P<name>[A-Za-z0-9_+-]+):)"
    r"|(?P<colon>:(?=[A-Za-z0-9_+:]))",
    re.DOTALL | re.MULTILINE,
)

_OPEN_SPAN = re.compile(
    _CODE_OR_FORMULA + r"|(?P<formula>\\[\[(]|\$\$|\$(?![\s\d]))|\\.|(?P<tick>`+)|(?P<stars>\*\*)",
    re.DOTALL | re.MULTILINE,
)

_LIST_MARK = re.compile(r"[ \t]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?")

_WORD_JOINER = "\u2060"
"""Has no width, allows no break: it keeps ``:streamlit:`` from becoming a logo even where a backslash does not."""


def to_streamlit(block: str) -> str:
    """One finished block of a reply, as ``st.markdown`` shows it rightly."""
    return "".join(text if is_code else _SPAN.sub(_convert, text) for text, is_code in _parts(block))


def to_streamlit_unfinished(block: str) -> str:
    """The same for a block that is still being written.

    What is open is closed, so that bold text is bold from its first word on, and half a formula is held back.
    """
    parts = _parts(block)
    if parts and not parts[-1][1]:
        parts[-1] = (_close(parts[-1][0]), False)
    return "".join(text if is_code else _SPAN.sub(_convert, text) for text, is_code in parts)


def _parts(block: str) -> list[tuple[str, bool]]:
    """The block as alternating stretches of fenced code (True) and of anything else."""
    stretches = groupby(lines_with_code_flag(block), key=itemgetter(1))
    return [("".join(line for line, _ in lines), is_code) for is_code, lines in stretches]


def _convert(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "display":
            return _display_formula(match)
        case "inline":
            return _inline_formula(match)
        case "bold":
            return _bold(match)
        case "image":
            return ""  # what a model links to is not fetched unasked: the picture becomes a link
        case "dollar" | "tilde" | "tag" | "colon":
            return "\\" + match[0]
        case "icon":
            return rf"\:{_WORD_JOINER}"
        case "emoji":
            return rf"\:{match['name']}\:"
        case _:
            return match[0]


def _inline_formula(match: re.Match[str]) -> str:
    formula = " ".join((match["parentheses"] or match["dollar_text"]).split())
    followed_by = match.string[match.end() : match.end() + 1]
    return f"${formula}$" + (" " if followed_by.isascii() and followed_by.isalnum() else "")


def _display_formula(match: re.Match[str]) -> str:
    """Streamlit wants ``$$`` on lines of their own, indented as the list item they stand in."""
    lines = [line.strip() for line in (match["dollars"] or match["brackets"]).strip().splitlines()]
    lines[-1] += match["stop"] or ""
    before = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
    after = match.string[match.end() :].split("\n", 1)[0]
    if before.lstrip().startswith(("|", ">", "#")):
        return rf"$\displaystyle {' '.join(lines)}$"
    mark = _LIST_MARK.match(before)
    indent = " " * (mark.end() if mark else 0)
    text = "\n".join(["$$", *(indent + line for line in lines), indent + "$$"])
    if before[len(indent) :].strip():
        text = f"\n\n{indent}{text}"
    return f"{text}\n\n{indent}" if after.strip() else text


def _bold(match: re.Match[str]) -> str:
    """Bold text, with the punctuation at its ends set outside where CommonMark would not see the asterisks.

    ``**注意：**请`` is not bold by its rules, which take spaces between words for granted.
    """
    before, strong, after = match["before"], _SPAN.sub(_convert, match["strong"]), match["after"]
    if before and match.string[match.start() - 1 : match.start()].isalnum():
        strong = f"{before}**{strong}"
    else:
        strong = f"**{before}{strong}"
    if after and match.string[match.end() : match.end() + 1].isalnum():
        return f"{strong}**{after}"
    return f"{strong}{after}**"


def _close(text: str) -> str:
    """Close what is open at the end of the text; cut it before a formula that is not complete."""
    bold = False
    ticks = ""
    for match in _OPEN_SPAN.finditer(text):
        if match["formula"]:
            text = text[: match.start()]
            break
        if match["tick"]:
            ticks = match["tick"]
            break
        bold ^= match["stars"] is not None
    text = text.rstrip()
    if ticks:
        text = text[: -len(ticks)].rstrip() if text.endswith(ticks) else text + ticks
    if bold and text.endswith("**"):
        return text[:-2].rstrip()
    return text.rstrip("* ") + "**" if bold else text
