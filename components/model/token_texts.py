"""What single tokens stand for, as bytes: a character may be split over several of them."""

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

SPACE_MARK = "▁"
"""A space in the pieces of SentencePiece."""

EACH_BYTE = "each_byte"
"""How broken UTF-8 is read, as codecs name it: SentencePiece writes a mark for each byte, Python one for several."""

TokenBytes = Callable[[int], bytes]
"""The UTF-8 bytes that a token stands for; none for a special token."""


@dataclass(frozen=True)
class TokenTexts:
    """How to read the tokens of one vocabulary.

    Attributes:
        shown: what readers see of a token.
        written_out: the same, with special tokens written out.
        strips_first_space: whether texts begin with a space that only the tokenizer put there (Llama 2), so that
            decoding removes it.
    """

    shown: TokenBytes
    written_out: TokenBytes
    strips_first_space: bool = False

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, special ones written out. Broken characters spoil none of the others."""
        text = b"".join(map(self.written_out, tokens))
        return (text.removeprefix(b" ") if self.strips_first_space else text).decode(errors=EACH_BYTE)


def byte_letters() -> dict[str, int]:
    """The letters in which byte-level BPE writes bytes, as GPT-2's ``encoder.py`` has them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_LETTERS = byte_letters()
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def read_byte_level(piece: str) -> bytes:
    """A piece of byte-level BPE. What is no such letter stands for itself."""
    return b"".join(
        bytes([byte]) if (byte := _LETTERS.get(letter)) is not None else letter.encode() for letter in piece
    )


def read_sentencepiece_piece(piece: str) -> bytes:
    """A piece of SentencePiece, which has some for single bytes."""
    if _BYTE.fullmatch(piece):
        return bytes.fromhex(piece[3:5])
    return piece.replace(SPACE_MARK, " ").encode()


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(EACH_BYTE, _replace_each_byte)
