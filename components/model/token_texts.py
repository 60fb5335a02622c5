"""What single tokens stand for, as bytes: a character may be split over several of them."""

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SPACE_MARK = "▁"
"""A space in the pieces of SentencePiece."""

EACH_BYTE = "each_byte"
"""How SentencePiece reads broken UTF-8, as codecs name it: a mark for each byte."""

EACH_PART = "replace"
"""How byte-level BPE does: a mark for as much as may have been the beginning of one character."""

BYTES_MARK = "bytes:"
"""Stands before bytes that are no text."""

MOST_INCOMPLETE = 3
"""A character has four bytes at most, so what is not complete of it has three."""

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
        broken: how broken characters are read, as codecs name it.
    """

    shown: TokenBytes
    written_out: TokenBytes
    strips_first_space: bool = False
    broken: str = EACH_BYTE

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, special ones written out, without a character that is not complete at their end.

        One that something else follows than its other bytes is shown as the tokenizer itself does: with SentencePiece
        as a mark for each byte, with byte-level BPE as one for all of them. It spoils no other character.
        """
        text = b"".join(map(self.written_out, tokens))
        return self.decoder().decode(text.removeprefix(b" ") if self.strips_first_space else text)

    def decoder(self) -> codecs.IncrementalDecoder:
        """Reads bytes as they come, and keeps those of a character that is not complete."""
        return codecs.getincrementaldecoder("utf-8")(self.broken)

    def incomplete_end(self, tokens: Sequence[int]) -> bytes:
        """The bytes of the character within which tokens end, special ones written out; none where they do not."""
        end = b""
        for token_id in reversed(tokens):
            end = self.written_out(token_id) + end
            if len(end) >= MOST_INCOMPLETE:
                break
        decoder = self.decoder()
        decoder.decode(end)
        return decoder.getstate()[0]


def spelled(text: bytes) -> str:
    r"""A token's bytes as OpenAI's API spells them: as text, or, where they are none, ``bytes:\xe9``."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return spelled_in_bytes(text)


def spelled_in_bytes(text: bytes) -> str:
    """The same where they are spelled as bytes in any case."""
    return BYTES_MARK + "".join(
        chr(byte) if byte in _PRINTABLE and byte != ord("\\") else f"\\x{byte:02x}" for byte in text
    )


def read_spelled(token: str) -> bytes:
    """The bytes of a token that is spelled so."""
    spelling = token.encode(errors="replace")
    mark = BYTES_MARK.encode()
    if not spelling.startswith(mark) or spelling == mark:
        return spelling
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), spelling.removeprefix(mark))


def byte_letters() -> dict[str, int]:
    """The letters in which byte-level BPE writes bytes, as GPT-2's ``encoder.py`` has them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_LETTERS = byte_letters()
_PRINTABLE = range(ord(" "), ord("~") + 1)
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})")
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
