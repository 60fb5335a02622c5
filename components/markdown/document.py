"""A reply as Streamlit shows it, block by block, also while it grows.

Every block but the last is finished: whatever text follows, it stays as it is. So a page can send each block once, and
send again only the one that grows. A block is a paragraph, a heading, a table, a whole list, a fence of code or a
formula. One thing alone changes a finished block: a link or footnote in it whose definition comes further below.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from markdown_it.utils import EnvType

from components.markdown.growing import growing_env, without_unclear_end
from components.markdown.parsing import block_starts, parse
from components.markdown.writing import MarkdownWriter, fenced

REMEMBERED_REPLIES = 256
"""Every script run shows the whole conversation again; so many replies are not parsed again for that."""


@lru_cache(maxsize=REMEMBERED_REPLIES)
def complete_blocks(text: str) -> tuple[str, ...]:
    """The blocks of a reply that is complete, each as Markdown for ``st.markdown``."""
    document = Document()
    document.finish(text)
    return tuple(document.blocks)


@dataclass
class _Block:
    source: str
    written: str


@dataclass
class Document:
    """The blocks of one reply.

    ``finished`` is how many characters of its text belong to finished blocks.
    """

    finished: int = 0
    _blocks: list[_Block] = field(default_factory=list)
    _growing: list[str] = field(default_factory=list)
    _env: EnvType = field(
        default_factory=lambda: {"references": {}, "footnotes": {"refs": {}, "list": {}}, "numbers": {}}
    )

    @property
    def blocks(self) -> list[str]:
        """All blocks as Markdown for ``st.markdown``; one that only defines something is empty."""
        return self.finished_blocks + self._growing

    @property
    def finished_blocks(self) -> list[str]:
        """Those that stay as they are."""
        return [block.written for block in self._blocks]

    def grow(self, text: str) -> None:
        """Take in ``text``, which begins with what was taken in before. More will follow."""
        text = _with_line_feeds(text.removesuffix("\r"))
        self._finish_blocks(_split(text[self.finished : text.rfind("\n") + 1], growing_env({}))[:-1])
        self._growing = _write(without_unclear_end(text[self.finished :]), growing_env(self._env))

    def finish(self, text: str) -> None:
        """Take in ``text``, which is complete."""
        self._finish_blocks(_split(_with_line_feeds(text)[self.finished :], {}))
        self._growing = []

    def _finish_blocks(self, sources: list[str]) -> None:
        known = self._definitions
        for source in sources:
            self._blocks.append(_Block(source, "\n\n".join(_write(source, self._env))))
            self.finished += len(source)
        if self._definitions != known:
            self._env["numbers"] = {}  # of footnotes, by their first place in the reply
            for block in self._blocks:
                if "[" in block.source:
                    block.written = "\n\n".join(_write(block.source, self._env))

    @property
    def _definitions(self) -> int:
        return len(self._env["references"]) + len(self._env["footnotes"]["refs"])


def _split(text: str, env: EnvType) -> list[str]:
    """The source of each block on the top level, with the empty lines and definitions below it."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    edges = [0, *block_starts(text, env)[1:], len(lines)]
    return ["".join(lines[start:end]) for start, end in pairwise(edges)] if lines else []


def _write(source: str, env: EnvType) -> list[str]:
    """The blocks in ``source``; those that show nothing are left out."""
    writer = MarkdownWriter(env)
    try:
        return [written for block in parse(source, env).children if (written := writer.write([block]))]
    except RecursionError:  # nested a thousand times, which only a joke is
        return [fenced(source)]


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
