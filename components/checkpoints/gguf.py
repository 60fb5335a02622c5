"""GGUF files: what their header says, read with a check of every number, before a program in C++ gets to see it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. No weight is read.
"""

import math
import mmap
import struct
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.checkpoints.content import CURE, explain_content
from components.checkpoints.errors import LoadError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_BYTES = 1 << 27
"""Of a header. With a vocabulary of 300,000 tokens it has about 20 MB, and a tokenizer in JSON some 30 MB more."""

MOST_KEYS = 4096
MOST_WEIGHTS = 1 << 17
MOST_DIMENSIONS = 4
MOST_ITEMS = 1 << 21
LONGEST_NAME = 1024
LONGEST_TOKEN = 1 << 16
LONGEST_TEXT = 1 << 20
"""More than any model has: 29,000 weights, lists of 514,000 merges, names of 100 bytes, templates of tens of kB."""

TOKENS = "tokenizer.ggml.tokens"
"""The only list of texts that anybody asks for."""

DEEPEST = 4
"""So many arrays may stand in each other; models have one."""

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Types of values, as ``struct`` writes them, and ``array``, which has bytes for what is true or false."""

SIZES = {form: struct.calcsize(f"<{form}") for form in NUMBERS.values()}
STRING, ARRAY = 8, 9

BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip
"""Numbers in a block, and its bytes, by the type of a weight; of other types no size is checked."""


@dataclass(frozen=True)
class PassedOver:
    """Stands for a value that was not read, since nobody asks for it; ``what`` it is, in a few words."""

    what: str


@dataclass(frozen=True)
class GgufHeader:
    """What stands before the weights.

    Attributes:
        values: by key, such as ``general.architecture``; lists of numbers are arrays, which know their type. Of lists
            of texts only the vocabulary is read, and of long texts none.
        weights: the names of the weights.
    """

    values: dict[str, Any]
    weights: frozenset[str]

    @property
    def architecture(self) -> str:
        """The model's kind, such as ``llama``; empty if the file does not say it."""
        name = self.values.get("general.architecture")
        return name if isinstance(name, str) else ""

    def of_architecture(self, key: str) -> Any:
        """A value whose key begins with the architecture's name; None if there is none."""
        return self.values.get(f"{self.architecture}.{key}")


def read_header(file: Path) -> GgufHeader:
    """Read a file's header, and see that its weights are all there.

    Raises:
        LoadError: it is no GGUF file, damaged, or cut off; the text says which, and what to do.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(len(MAGIC))
            if start != MAGIC:
                raise LoadError(f"{file} is no GGUF file: {_what_instead(file, start)}. {CURE}")
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(file, content).header()
    except OSError as error:
        raise LoadError(f"{file} cannot be read: {error.strerror}.") from error


def _what_instead(file: Path, start: bytes) -> str:
    if start in (b"ggml", b"lmgg", b"tjgg", b"fmgg", b"algg"):
        return "it is of a form that llama.cpp had before, which nothing reads any more; take a newer file of the model"
    return explain_content(file) or f"it begins with {start!r} where {MAGIC!r} belongs"


class _Reader:
    """Goes through a header. No length is believed that no header has, or that the file has no room for."""

    def __init__(self, file: Path, content: mmap.mmap) -> None:
        self._file = file
        self._content = content
        self._at = len(MAGIC)

    def header(self) -> GgufHeader:
        version = self._number("I")
        if version not in VERSIONS:
            swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big")
            why = (
                "it was written for machines with the other order of bytes"
                if swapped in VERSIONS
                else f"it is of version {version}, and {' and '.join(map(str, VERSIONS))} are known"
            )
            raise LoadError(f"{self._file} cannot be loaded: {why}. Take another file of this model.")
        weights = self._count("Q", MOST_WEIGHTS, "weights")
        keys = self._count("Q", MOST_KEYS, "keys")
        values = {}
        for _ in range(keys):
            name = self._text(LONGEST_NAME)
            values[name] = self._value(self._number("I"), reads_texts=name == TOKENS)
        sizes = dict(self._weight() for _ in range(weights))
        self._check_whole(values, sizes)
        return GgufHeader(values, frozenset(sizes))

    def _weight(self) -> tuple[str, int]:
        """A weight's name, and where it ends, in bytes behind the header."""
        name = self._text(LONGEST_NAME)
        dimensions = [self._number("Q") for _ in range(self._count("I", MOST_DIMENSIONS, "dimensions"))]
        kind, offset = self._number("I"), self._number("Q")
        numbers, size = BLOCKS.get(kind, (0, 0))
        length = math.prod(dimensions) // numbers * size if numbers else 0
        return name, offset + length

    def _check_whole(self, values: dict[str, Any], ends: dict[str, int]) -> None:
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise self._damaged(f"general.alignment is {alignment!r}")
        size = len(self._content)
        begin = -(-self._at // alignment) * alignment
        missing = begin + max(ends.values(), default=0) - size
        if missing > size * 1000:
            raise self._damaged(f"a weight ends {missing:.0e} bytes behind the file's end")
        if missing > 0:
            raise LoadError(
                f"{self._file} is cut off: {missing / 1e6:,.1f} MB of its weights are missing, as after a download "
                f"that did not end. {CURE}"
            )

    def _value(self, kind: int, depth: int = 0, *, reads_texts: bool = False) -> Any:
        if kind in NUMBERS:
            return self._number(NUMBERS[kind])
        if kind == STRING:
            size = self._count("Q", MOST_BYTES, "bytes in a text")
            if size <= LONGEST_TEXT:
                return self._decoded(size)
            self._pass(size)
            return PassedOver(f"a text of {size} bytes")
        if kind != ARRAY or depth == DEEPEST:
            raise self._damaged(f"a value is of type {kind}")
        of, count = self._number("I"), self._count("Q", MOST_ITEMS, "items in a list")
        if of in NUMBERS:
            return self._numbers(NUMBERS[of].replace("?", "B"), count)
        if of != STRING:
            for _ in range(count):
                self._value(of, depth + 1)
            return PassedOver(f"a list of {count} lists")
        if reads_texts and depth == 0:
            return [self._text(LONGEST_TOKEN) for _ in range(count)]
        for _ in range(count):
            self._pass(self._count("Q", MOST_BYTES, "bytes in a text"))
        return PassedOver(f"a list of {count} texts")

    def _numbers(self, kind: str, count: int) -> "array[Any]":
        """A list of numbers without an object for each of them: a vocabulary has hundreds of thousands."""
        numbers: array[Any] = array(kind)
        numbers.frombytes(self._take(count * numbers.itemsize))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    def _text(self, longest: int) -> str:
        return self._decoded(self._count("Q", longest, "bytes in a text"))

    def _decoded(self, size: int) -> str:
        return self._take(size).decode(errors="replace")

    def _count(self, form: str, most: int, what: str) -> int:
        count = self._number(form)
        if count > most:
            raise self._damaged(f"it says that there are {count} {what}")
        return int(count)

    def _number(self, form: str) -> Any:
        self._pass(SIZES[form])
        return struct.unpack_from(f"<{form}", self._content, self._at - SIZES[form])[0]

    def _take(self, size: int) -> bytes:
        self._pass(size)
        return self._content[self._at - size : self._at]

    def _pass(self, size: int) -> None:
        """Go on behind so many bytes."""
        self._at += size
        if self._at > MOST_BYTES:
            raise self._damaged(f"it says that its header has more than {MOST_BYTES / 1e6:.0f} MB")
        if self._at > len(self._content):
            raise LoadError(f"{self._file} is cut off within its header, as after a download that did not end. {CURE}")

    def _damaged(self, how: str) -> LoadError:
        return LoadError(f"{self._file} is damaged: {how}. {CURE}")
