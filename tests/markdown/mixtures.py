"""Pieces of Markdown, to be put together at random."""

PIECES = [
    *"*_`~#>+-=|!<&:;.()]", "**", "__", "~~", "``", "```", "---", "===", "1. ", "2) ", "- ", "> ", "| ", "|-|", "||",
    "[", "](", "[a](b)", "![", "\\*", "\\_", "\\\\", "&amp;", "&#32;", "&nbsp;", "&copy", "<b>", "</b>", "<!--", "$5 ",
    " US$", "->", "<-", "--", ">=", ":smile:", ":red[", ":material/home:", "http:", "{", "}",
    "10:30", "1:", " 时:", "{x}", "  ", "    ", "\t",
    "\u3000", " 中文 ", "x", "one", "two", "1", "23", "\n", "\n", "\n\n", " ", " ", " ",
]  # fmt: skip
"""Of CommonMark and of what Streamlit takes for its own; without what means more here than there (see ``REPLIES``)."""

OWN_PIECES = ["$", "$$", r"\(", r"\)", r"\[", r"\]", r"\begin{align}", r"\end{align}", "中", "**", "[^1]", "\n[^1]: ",
              "\n[a]: /b\n", "https://x.y/", "www.a.com", "```mermaid\n", "\r\n", "\r", "。", "“"]  # fmt: skip
