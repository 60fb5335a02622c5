"""Baichuan 2 7B: Llama's forward pass, and the published model's two convenience methods."""

from collections.abc import Iterator, Sequence

import torch
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from components.model.chat_format import Message, chat_format_of
from components.model.configuration import BaichuanConfig
from components.model.detokenizer import IncrementalDetokenizer, token_texts_of
from components.model.generation import context_length_of, generate_tokens


class BaichuanForCausalLM(LlamaForCausalLM):
    """Loads from a Baichuan 2 7B folder; see ``components.model.weights`` for what loading changes."""

    config_class = BaichuanConfig

    def build_chat_input(
        self, tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], max_new_tokens: int = 0
    ) -> torch.Tensor:
        """The prompt for a conversation, without the oldest rounds that do not fit: token ids, ``[1, n]``.

        Args:
            tokenizer: the checkpoint's tokenizer.
            messages: an optional system message, then the turns.
            max_new_tokens: room to keep for the reply; 0 means the generation config's.

        Raises:
            MessagesError: there is nothing to answer.
        """
        room = context_length_of(self) - (max_new_tokens or self.generation_config.max_new_tokens)
        prompt = chat_format_of(tokenizer, self.generation_config).build_prompt(messages, room)
        return torch.tensor([prompt.input_ids], device=self.device)

    def chat(
        self,
        tokenizer: PreTrainedTokenizerBase,
        messages: Sequence[Message],
        stream: bool = False,
        generation_config: GenerationConfig | None = None,
    ) -> str | Iterator[str]:
        """Answer a conversation, as the published model's method of this name does.

        Returns:
            The reply, or with ``stream`` an iterator of the whole text so far, once per token.
        """
        config = generation_config or self.generation_config
        input_ids = self.build_chat_input(tokenizer, messages, config.max_new_tokens)
        texts = self._texts_so_far(tokenizer, input_ids, config)
        if stream:
            return texts
        reply = ""
        for reply in texts:  # noqa: B007  # only the last one counts
            pass
        return reply

    def _texts_so_far(
        self, tokenizer: PreTrainedTokenizerBase, input_ids: torch.Tensor, config: GenerationConfig
    ) -> Iterator[str]:
        detokenizer = IncrementalDetokenizer(token_texts_of(tokenizer))
        text = ""
        for token in generate_tokens(self, input_ids, config):
            text += detokenizer.push(token)
            yield text
