"""Engines that know their model's vocabulary: prompts are built here, and ids looked at, wherever the model runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.engine.errors import PromptError
from components.engine.interface import Engine, GenerationRequest, Piece
from components.model.chat_format import ChatFormat, Message, MessagesError, Prompt, chat_format_of, split_system
from components.model.detokenizer import IncrementalDetokenizer, token_texts_of
from components.model.token_texts import TokenTexts

if TYPE_CHECKING:  # importing transformers takes seconds, which an engine in another process can do without
    from transformers import GenerationConfig, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Vocabulary:
    """What is known of a model without its weights.

    Attributes:
        chat_format: builds its prompts.
        texts: what its tokens stand for.
        size: how many tokens there are.
    """

    chat_format: ChatFormat
    texts: TokenTexts
    size: int


def vocabulary_from(tokenizer: "PreTrainedTokenizerBase", config: "GenerationConfig", size: int) -> Vocabulary:
    """The vocabulary of a checkpoint that transformers reads; its head has ``size`` rows.

    Raises:
        MessagesError: the model was not made for chatting.
    """
    return Vocabulary(chat_format_of(tokenizer, config), token_texts_of(tokenizer), size)


def detokenizer_of(request: GenerationRequest, texts: TokenTexts) -> IncrementalDetokenizer:
    """What makes the text of a reply to ``request``: it goes on where the prompt and what is written already end."""
    prompt = request.prompt
    follows_text = prompt is not None or request.messages[-1]["role"] == "assistant"
    begun = b"" if prompt is None or isinstance(prompt, str) else texts.incomplete_end(prompt)
    return IncrementalDetokenizer(texts, request.continues, is_beginning=not follows_text, begun=begun)


class VocabularyEngine(Engine):
    """What such engines have in common.

    Attributes:
        vocabulary: the model's; whoever inherits sets it.
    """

    vocabulary: Vocabulary

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """See ``Engine.build_prompt``."""
        room = self.room_for_prompt(max_new_tokens)
        try:
            return self.vocabulary.chat_format.build_prompt(messages, room)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def tokenize(self, text: str | Sequence[Message], *, invites: bool = True) -> list[int]:
        """See ``Engine.tokenize``."""
        if isinstance(text, str):
            return self.vocabulary.chat_format.encode_text(text)
        try:
            split_system(text)
            return self.vocabulary.chat_format.encode(text, invites=invites)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def detokenize(self, tokens: Sequence[int]) -> str:
        """See ``Engine.detokenize``."""
        self._check_tokens(tokens)
        return self.vocabulary.texts.decode(tokens)

    def pieces(self, tokens: Sequence[int]) -> list[Piece]:
        """See ``Engine.pieces``."""
        self._check_tokens(tokens)
        texts = self.vocabulary.texts
        both = [(texts.written_out(token), texts.shown(token)) for token in tokens]
        return [Piece(text, is_control=bool(text) and not shown) for text, shown in both]

    def reply_text(self, tokens: Sequence[int]) -> str:
        """See ``Engine.reply_text``."""
        self._check_tokens(tokens)
        return "".join(map(IncrementalDetokenizer(self.vocabulary.texts).push, tokens))

    def _fitted(self, request: GenerationRequest) -> tuple[GenerationRequest, list[int]]:
        """The request with a reply that fits, and the tokens to read before it.

        Raises:
            PromptError: it does not fit, or something in the request is no token, or no place in the reply.
        """
        for name in ("logit_bias", "stop_token_ids"):
            self._check_tokens(getattr(request.sampling, name), name)
        begun = len(request.continues)
        longest = request.longest + begun
        if request.prompt is None and request.may_be_shorter:
            ids, fits = self.build_whole_prompt(request.messages, longest).input_ids, True
            request = self.shortened(request, len(ids) + begun)
        elif request.prompt is None:
            prompt = self.build_prompt(request.messages, longest)
            ids, fits = prompt.input_ids, not prompt.too_long
        else:
            self.room_for_prompt(longest)
            ids = self.tokenize(request.prompt) if isinstance(request.prompt, str) else list(request.prompt)
            self._check_tokens(ids)
            fits = len(ids) + longest <= self.info.context_length
        if not ids:
            raise PromptError("The prompt is empty: send at least one token.")
        if not fits:
            raise self.too_long(longest)
        self._check_tokens(request.continues)
        if any(not 0 <= place <= begun for place in request.exact_at or ()):
            raise PromptError(f"exact_at: the reply has the places 0 to {begun}.")
        return request, [*ids, *request.continues]

    def _check_tokens(self, tokens: Iterable[int], where: str = "") -> None:
        size = self.vocabulary.size
        if unknown := [token for token in tokens if not 0 <= token < size]:
            within = f"{where}: " if where else ""
            raise PromptError(f"{within}{unknown[0]} is no token: ids run from 0 to {size - 1}.")
