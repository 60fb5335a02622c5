"""A tokenizer as a GGUF file has it, for our own chat format: neither torch nor transformers is needed.

What single tokens stand for is read here. Texts are turned into ids by whoever serves the model, since llama.cpp knows
all the rules by which the many kinds of tokenizers cut a text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from jinja2 import TemplateError

from components.checkpoints.gguf import GgufHeader
from components.checkpoints.gguf_checks import ROLE_TOKENS
from components.model.chat_format import (
    BaichuanChatFormat,
    ChatFormat,
    MessagesError,
    TemplateChatFormat,
)
from components.model.template_environment import compiled
from components.model.token_texts import EACH_BYTE, EACH_PART, TokenTexts, read_byte_level, read_sentencepiece_piece

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
"""Types of tokens, as llama.cpp numbers them."""

RESERVED = re.compile(r"<(reserved|extra)_\d+>")
"""Control tokens that some converters take for plain pieces."""

BYTE_LEVEL = "gpt2"

MARKER = "\ufdd0"
"""A code point that is never a character, so no piece contains it, and nothing is joined with it."""

MISTAKES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a template raises that computes something that cannot be."""

Encode = Callable[[str], list[int]]
"""The ids of a text, in which control tokens that are written out count as such."""


@dataclass(frozen=True)
class GgufToken:
    """See ``AddedToken``."""

    content: str
    special: bool


class GgufTokenizer:
    """See ``ChatTokenizer``.

    Attributes:
        chat_template: a Jinja template; None where the file has none, or Baichuan 2's own format serves.
        added_tokens_decoder: the tokens that are looked for in a text before anything else.
        size: how many tokens there are.
        encoder: asks whoever serves the model, so it is set once that is there. Until then no text has ids.
    """

    def __init__(self, header: GgufHeader) -> None:
        """Read the vocabulary of a file that can be served."""
        values = header.values
        self._tokens: list[str] = values["tokenizer.ggml.tokens"]
        types: Sequence[int] = values.get("tokenizer.ggml.token_type", [NORMAL] * len(self._tokens))
        self._types = types[: len(self._tokens)]
        self._is_byte_level = values["tokenizer.ggml.model"] == BYTE_LEVEL
        self._special_names = {
            name: self._text_of(values.get(f"tokenizer.ggml.{key}_token_id"))
            for name, key in (("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"))
        }
        self._adds_prefix = not self._is_byte_level and values.get("tokenizer.ggml.add_space_prefix") is not False
        self.size = len(self._tokens)
        self.encoder: Encode = lambda _: []
        template = values.get("tokenizer.chat_template")
        self.chat_template: str | None = template if isinstance(template, str) and template.strip() else None
        self.added_tokens_decoder: Mapping[int, GgufToken] = {
            id_: GgufToken(text, kind in (UNKNOWN, CONTROL) or bool(RESERVED.fullmatch(text)))
            for id_, (text, kind) in enumerate(zip(self._tokens, self._types, strict=True))
            if kind in (UNKNOWN, CONTROL, USER_DEFINED) or RESERVED.fullmatch(text)
        }

    @property
    def role_ids(self) -> tuple[int, int] | None:
        """The ids of Baichuan 2's role tokens, if its own format is the model's."""
        if self.chat_template is not None and not all(token in self.chat_template for token in ROLE_TOKENS):
            return None
        ids = {token.content: id_ for id_, token in self.added_tokens_decoder.items() if token.content in ROLE_TOKENS}
        return (ids[ROLE_TOKENS[0]], ids[ROLE_TOKENS[1]]) if len(ids) == len(ROLE_TOKENS) else None

    @property
    def strips_first_space(self) -> bool:
        """See ``TokenTexts``."""
        return self._adds_prefix and self.role_ids is None

    def chat_format(self) -> ChatFormat:
        """The format that the model was trained with.

        Raises:
            MessagesError: it has neither Baichuan 2's role tokens nor a chat template.
        """
        if (roles := self.role_ids) is not None:
            return BaichuanChatFormat(WithoutPrefix(self) if self._adds_prefix else self, *roles)
        if self.chat_template is None:
            raise MessagesError(
                "This GGUF file has no chat template, and its vocabulary no role tokens of Baichuan 2, so nobody knows "
                "how to chat with its model. Use a file of a model made for chatting, such as Baichuan2-7B-Chat."
            )
        return TemplateChatFormat(self)

    def texts(self) -> TokenTexts:
        """How to read single tokens."""
        broken = EACH_PART if self._is_byte_level else EACH_BYTE
        return TokenTexts(cache(self._shown), cache(self._written_out), self.strips_first_space, broken)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:  # noqa: ARG002 none is ever added
        """See ``ChatTokenizer.encode``."""
        return self.encoder(text)

    def apply_chat_template(
        self,
        conversation: list[dict[str, str]],
        *,
        tokenize: Literal[False] = False,  # noqa: ARG002
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> str:
        """See ``ChatTokenizer.apply_chat_template``; renders as transformers does.

        Raises:
            jinja2.TemplateError: the template refuses the conversation, or is none.
        """
        try:
            text = compiled(self.chat_template or "").render(
                messages=conversation,
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special_names,
            )
        except MISTAKES as error:
            raise TemplateError(f"{type(error).__name__}: {error}") from error
        if not continue_final_message:
            return text
        # What the template puts behind a message would end the reply that is to go on.
        last = conversation[-1]["content"].strip()
        at = text.rindex(last)
        end = at + len(last)
        kept = conversation[-1]["content"]
        trailing = kept[len(kept.rstrip()) :]
        return text[: end + len(trailing)] if text[end:].startswith(trailing) else text[:end]

    def _text_of(self, id_: Any) -> str:
        return self._tokens[id_] if isinstance(id_, int) and 0 <= id_ < len(self._tokens) else ""

    def _shown(self, id_: int) -> bytes:
        token = self.added_tokens_decoder.get(id_)
        return b"" if token is not None and token.special else self._written_out(id_)

    def _written_out(self, id_: int) -> bytes:
        if not 0 <= id_ < self.size or self._types[id_] == UNUSED:  # a head may be wider than the vocabulary
            return b""
        text = self._tokens[id_]
        if id_ in self.added_tokens_decoder:
            return text.encode()
        return read_byte_level(text) if self._is_byte_level else read_sentencepiece_piece(text)


class WithoutPrefix:
    """The same tokenizer, for a model whose texts begin with no space that nobody wrote: some files say otherwise."""

    def __init__(self, tokenizer: GgufTokenizer) -> None:
        self.chat_template = tokenizer.chat_template
        self.added_tokens_decoder = tokenizer.added_tokens_decoder
        self.apply_chat_template = tokenizer.apply_chat_template
        self._tokenizer = tokenizer

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """See ``ChatTokenizer.encode``."""
        marked = self._tokenizer.encode(MARKER, add_special_tokens=add_special_tokens)
        ids = self._tokenizer.encode(MARKER + text, add_special_tokens=add_special_tokens)
        return ids[len(marked) :]
