"""What a reader sees of Markdown: as CommonMark has it, and as Streamlit's page shows it.

The second stands in for the browser, so that thousands of texts can be tried. It is markdown-it-py with the extensions
of Streamlit's renderer: GitHub's strikethrough, tables and addresses, formulas, directives, and the plugins that change
a text after it was parsed. ``tests/browser/test_markdown.py`` compares it with a real page.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, paragraph
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.dollarmath import dollarmath_plugin
from streamlit.string_util import clean_text

Run = tuple[str, frozenset[str]]
"""A stretch of text and what it is: strong, em, s, code, a link and where to, a formula."""

Block = tuple[object, ...]
"""A kind of block, and the runs or blocks in it."""


TextReader = Callable[[str, frozenset[str]], Iterable[Run]]

CodeReader = Callable[[str, str], Block]


def reference(text: str) -> list[Block]:
    """``text`` as CommonMark with tables and strikethrough has it. HTML is text; a line break is a line break."""
    return _Reader(_as_it_is, _code).blocks(SyntaxTreeNode(_reference_parser().parse(text)).children)


def on_streamlits_page(parts: Iterable[str]) -> list[Block]:
    """The same for what is sent to Streamlit, one ``st.markdown`` after the other."""
    reader = _Reader(_after_plugins, _highlighted_or_drawn)
    sources = [clean_text(part).replace(":material/", ":material_") for part in parts if part]
    return [
        block
        for source in sources
        for block in reader.blocks(SyntaxTreeNode(_streamlits_parser().parse(source)).children)
    ]


def text_of(blocks: Iterable[object]) -> str:
    """The text alone, a line for each block."""
    return "\n".join(_texts(blocks))


def _texts(blocks: Iterable[object]) -> Iterable[str]:
    for block in blocks:
        assert isinstance(block, tuple)
        for part in block[1:]:
            if isinstance(part, str):
                yield part
            elif isinstance(part, list) and part and isinstance(part[0], tuple) and isinstance(part[0][1], frozenset):
                yield "".join(text for text, _ in part)
            elif isinstance(part, list):
                yield from _texts(part)


@cache
def _reference_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 100}).enable(["table", "strikethrough"])
    parser.block.ruler.at("paragraph", _paragraph)
    return parser


def _paragraph(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """CommonMark takes spaces and tabs off a paragraph, markdown-it all white space there is."""
    paragraph(state, first, end, silent)
    content = state.getLines(first, state.line, state.blkIndent, False).strip(" \t\n")
    state.tokens[-2].content = content if content.strip() else ""
    return True


@cache
def _streamlits_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 100, "strikethrough_single_tilde": True})
    parser.enable(["table", "strikethrough"]).use(dollarmath_plugin, allow_labels=False, double_inline=True)
    parser.inline.ruler.before("escape", "directive", _directive)
    return parser


_LABEL_AND_ATTRIBUTES = re.compile(r"(\[[^\]]*\])?(\{[^}]*\})?(?!:)")


def _directive(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != ":":
        return False
    end = state.pos + 1
    while end < state.posMax and (_is_in_name(state.src[end]) or (end > state.pos + 1 and state.src[end] in "-_")):
        end += 1
    match = _LABEL_AND_ATTRIBUTES.match(state.src, end, state.posMax)
    if end == state.pos + 1 or state.src[end - 1] in "-_" or match is None:
        return False
    if state.src[: state.pos].endswith(":") and not state.src[: state.pos].endswith(r"\:"):
        return False
    if not silent:
        content = state.src[state.pos : match.end()]
        token = state.push("separator" if content == ":color[]{}" else "directive", "", 0)
        token.content = content
    state.pos = match.end()
    return True


def _is_in_name(character: str) -> bool:
    """Whether the name of a directive may have it: micromark looks at UTF-16, so beyond that all are letters to it."""
    return character > "\uffff" or not (character.isspace() or unicodedata.category(character)[0] in "PS")


class _Reader:
    """Reads a tree; ``read_text`` says what becomes of a text in it, ``read_code`` of code and its language."""

    def __init__(self, read_text: TextReader, read_code: CodeReader) -> None:
        self._read_text = read_text
        self._read_code = read_code

    def blocks(self, nodes: Sequence[SyntaxTreeNode]) -> list[Block]:
        return [block for node in nodes if (block := self._block(node)) != ("paragraph", [])]

    def _block(self, node: SyntaxTreeNode) -> Block:
        match node.type:
            case "paragraph" | "th" | "td":
                return (node.type, self._inline(node))
            case "heading":
                return (node.tag, self._inline(node))
            case "fence" | "code_block":
                return self._read_code(node.content, node.info)
            case "ordered_list":
                return (f"from {node.attrs.get('start', 1)}", self.blocks(node.children))
            case "math_block":
                return ("formula", node.content.strip())
            case "html_block":
                return ("HTML", node.content)
            case _:
                return (node.type, self.blocks(node.children))

    def _inline(self, node: SyntaxTreeNode) -> list[Run]:
        merged: list[Run] = []
        for text, styles in self._runs(node.children[0].children if node.children else [], frozenset()):
            if merged and merged[-1][1] == styles:
                merged[-1] = (merged[-1][0] + text, styles)
            elif text:
                merged.append((text, styles))
        return merged

    def _runs(self, nodes: Sequence[SyntaxTreeNode], styles: frozenset[str]) -> Iterable[Run]:
        for node in nodes:
            match node.type:
                case "text":
                    yield from self._read_text(node.content, styles)
                case "softbreak" | "hardbreak":
                    yield ("\n", styles)
                case "separator":
                    pass
                case "code_inline":
                    yield (node.content.replace("\u2060", ""), styles | {"code"})
                case "link":
                    yield from self._runs(node.children, styles | {f"link to {_address(node, 'href')}"})
                case "image":
                    # Shown as a link, as this address has no host.
                    address = _address(node, "src")
                    alt = "".join(text for text, _ in self._runs(node.children, styles)).replace("\n", " ")
                    yield (alt or address.rstrip("/").rsplit("/", 1)[-1], styles | {f"link to {address}"})
                case "strong" | "em" | "s":
                    yield from self._runs(node.children, styles | {node.type})
                case _:
                    yield (node.content, styles | {node.type})


def _address(node: SyntaxTreeNode, name: str) -> str:
    return str(node.attrs[name]).replace("%3A", ":")


_SYMBOLS = [
    (r"(^|\s)<->(\s|$)", r"\1↔\2"),
    (r"(^|\s)->(\s|$)", r"\1→\2"),
    (r"(^|\s)<-(\s|$)", r"\1←\2"),
    (r"(^|\s)--(\s|$)", r"\1—\2"),
    (r"(^|\s)>=(\s|$)", r"\1≥\2"),
    (r"(^|\s)<=(\s|$)", r"\1≤\2"),
    (r"(^|\s)~=(\s|$)", r"\1≈\2"),
    (r":material_\w+:", "ICON"),
    (r":\+1:|:-1:|:[\w-]+:", "PICTURE"),
]

_ADDRESS = re.compile(r"(?:https?://|www\.)[-.\w]+[^\s]*", re.IGNORECASE)


def _as_it_is(text: str, styles: frozenset[str]) -> Iterable[Run]:
    yield (text, styles)


def _code(code: str, _: str) -> Block:
    return ("code", re.sub(r"(?m)^[^\S\n]+$", "", code.replace("\u2060", "")).rstrip("\n"))


def _highlighted_or_drawn(code: str, language: str) -> Block:
    if re.match(r"mermaid\b", language, re.IGNORECASE):
        return ("drawing", code)
    return _code(code.removeprefix("\n"), language)


def _after_plugins(text: str, styles: frozenset[str]) -> Iterable[Run]:
    for pattern, symbol in _SYMBOLS:
        text = re.sub(pattern, symbol, text, flags=re.ASCII if "w" in pattern else 0)
    is_link = any(style.startswith("link") for style in styles)
    if not is_link and _ADDRESS.search(text):
        yield (text, styles | {"link by itself"})
    else:
        yield (text, styles)
