"""From token ids to text while they arrive, one at a time."""

import json
from collections.abc import Iterable
from functools import cache, cached_property
from typing import TYPE_CHECKING

from components.model.token_texts import (
    EACH_BYTE,
    EACH_PART,
    TokenBytes,
    TokenTexts,
    read_byte_level,
    read_sentencepiece_piece,
)

if TYPE_CHECKING:  # importing transformers takes seconds, which an engine in another process can do without
    from transformers import PreTrainedTokenizerBase


class IncrementalDetokenizer:
    """Gives out text as soon as its characters are complete.

    A character split over several tokens (Chinese or emoji in byte tokens) comes out when its last byte is there, and
    the cost per token is the same however long the reply is. Works on bytes, because decoding a window of tokens
    again, as is common, spoils a good character that follows a broken one.

    A character that is not complete when the reply ends never comes out. It does when the reply is written on and its
    other bytes come. So does one that the prompt's last tokens begin, with the reply that completes it; where something
    else follows, nothing is shown of it.
    """

    def __init__(
        self,
        texts: TokenTexts,
        written: Iterable[int] = (),
        is_beginning: bool = True,
        begun: bytes = b"",
    ) -> None:
        """Begin before the first token that gives text.

        Args:
            texts: how the model's tokens are read.
            written: tokens of the same reply whose text is out already.
            is_beginning: whether nothing but what the reader wrote stands before the reply.
            begun: the bytes of a character that the prompt ends within.
        """
        self._texts = texts
        self._decoder = texts.decoder()
        self._begun = begun
        self._strip_next = is_beginning and self._texts.strips_first_space
        for token_id in written:
            self.push(token_id)

    def push(self, token_id: int) -> str:
        """Take the next token; return the text that is complete now, often empty, never a part of a character."""
        new = self._texts.shown(token_id)
        return self._strip(self._decoder.decode(self._completed(new) if self._begun else new))

    @cached_property
    def written_out(self) -> TokenBytes:
        """The bytes of single tokens, special ones written out."""
        return cache(self._texts.written_out)

    def written_out_first(self, token_id: int) -> bytes:
        """The same of a text's first token, as far as it is shown."""
        text = self.written_out(token_id)
        return text.removeprefix(b" ") if self._texts.strips_first_space else text

    def _completed(self, new: bytes) -> bytes:
        """What there is to show once it is known what becomes of the character that the prompt ends within."""
        begun, self._begun = self._begun + new, b""
        try:
            begun.decode()
        except UnicodeDecodeError as error:
            if error.start > 0:
                return begun
            if error.end == len(begun):  # it may still become whole
                self._begun = begun
            return begun[error.end :]
        return begun

    def _strip(self, text: str) -> str:
        if self._strip_next and text:
            self._strip_next = False
            return text.removeprefix(" ")
        return text


def token_texts_of(tokenizer: "PreTrainedTokenizerBase") -> TokenTexts:
    """How to read the tokens of this tokenizer."""
    written_out: list[TokenBytes] = []

    def write_out(token_id: int) -> bytes:
        if not written_out:  # few ask for it, and it is another walk through all special tokens
            written_out.append(token_bytes_of(tokenizer, with_special=True))
        return written_out[0](token_id)

    broken = EACH_PART if _is_byte_level(tokenizer) else EACH_BYTE
    return TokenTexts(token_bytes_of(tokenizer), write_out, strips_first_space(tokenizer), broken)


def token_bytes_of(tokenizer: "PreTrainedTokenizerBase", with_special: bool = False) -> TokenBytes:
    """How to read single tokens of this tokenizer: byte-level BPE, or SentencePiece with byte fallback.

    Args:
        tokenizer: the model's.
        with_special: whether special tokens are written out, else they have no bytes.
    """
    added = {
        token_id: b"" if token.special and not with_special else token.content.encode()
        for token_id, token in tokenizer.added_tokens_decoder.items()
    }
    read = read_byte_level if _is_byte_level(tokenizer) else read_sentencepiece_piece

    def token_bytes(token_id: int) -> bytes:
        known = added.get(token_id)
        if known is not None:
            return known
        piece: str | None = tokenizer.convert_ids_to_tokens(token_id)
        return read(piece) if piece else b""  # a head may be wider than the vocabulary

    return token_bytes


def strips_first_space(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether texts begin with a space that only the tokenizer put there (Llama 2), so that decoding removes it."""
    return not _decoder_types(tokenizer).isdisjoint({"Strip", "Metaspace"})


def _is_byte_level(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return "ByteLevel" in _decoder_types(tokenizer)


def _decoder_types(tokenizer: "PreTrainedTokenizerBase") -> set[str]:
    decoder = json.loads(tokenizer.backend_tokenizer.decoder.__getstate__())
    return {step["type"] for step in decoder.get("decoders", [decoder])}
