"""What a reply says: CommonMark with tables, strikethrough, footnotes, formulas and bare addresses.

HTML is text here, as nobody who chats means it. Parsed by markdown-it-py.
"""

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, paragraph
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from markdown_it.utils import EnvType
from mdit_py_plugins.footnote import footnote_plugin

from components.markdown.addresses import install_addresses
from components.markdown.emphasis import CjkParser
from components.markdown.formulas import install_formulas
from components.markdown.growing import install_growing

DEEPEST_NESTING = 100
"""Of lists and quotes; what lies deeper is not shown."""


def parse(text: str, env: EnvType) -> SyntaxTreeNode:
    """The tree of a text. Link definitions and footnotes are looked up in ``env`` and added to it."""
    return SyntaxTreeNode(_parser().parse(text, env))


def block_starts(text: str, env: EnvType) -> list[int]:
    """The number of the line, counted from 0, at which each block on the top level starts.

    A formula that is held back starts none: without an end, it is text of the paragraph above it.
    """
    tokens: list[Token] = []
    parser = _parser()
    parser.block.parse(text, parser, env, tokens)
    return [
        token.map[0]
        for token in tokens
        if token.level == 0 and token.nesting >= 0 and token.map and (token.type != "formula" or token.content)
    ]


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("zero")
    parser.inline = CjkParser()
    parser.configure("commonmark", {"html": False, "maxNesting": DEEPEST_NESTING})
    parser.enable(["table", "strikethrough"])
    parser.block.ruler.at("paragraph", _paragraph)
    parser.use(footnote_plugin, inline=False, move_to_end=False)
    install_addresses(parser)
    install_formulas(parser)
    install_growing(parser)
    return parser


def _paragraph(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """A paragraph with the ideographic spaces that indent its first line, which markdown-it takes off like blanks."""
    paragraph(state, first, end, silent)
    content = state.getLines(first, state.line, state.blkIndent, False).strip(" \t\n\v\f")
    state.tokens[-2].content = content if content.strip() else ""
    return True
