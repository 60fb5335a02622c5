"""How an engine runs a model: prefill a prompt, then decode one token for each of many sequences at once.

``PlainDecoder`` runs any causal language model of transformers, one sequence after the other. ``LlamaDecoder`` (its own
file) runs Llama-type models, Baichuan 2 among them, all sequences in one step.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from components.model.generation import context_length_of


class KVCache(ABC):
    """Keys and values of one sequence. ``length`` is how many tokens it holds."""

    length: int

    @abstractmethod
    def truncate(self, length: int) -> None:
        """Forget all but the first ``length`` tokens."""

    @abstractmethod
    def copy_prefix(self, length: int) -> "KVCache":
        """Another cache that holds the first ``length`` tokens."""


class Decoder(ABC):
    """A model and what it takes to run it. Not for several threads at once.

    Attributes:
        context_length: tokens that a sequence may have.
        bytes_per_token: memory of one token in a cache.
    """

    context_length: int
    bytes_per_token: int

    @abstractmethod
    def new_cache(self) -> KVCache:
        """An empty cache."""

    @abstractmethod
    def prefill(self, cache: KVCache, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """Read tokens into a cache.

        Returns:
            float32 logits: ``[vocabulary]`` after the last token, or ``[n, vocabulary]`` after each.
        """

    @abstractmethod
    def decode(self, caches: Sequence[KVCache], tokens: Sequence[int], exact: Sequence[bool] = ()) -> torch.Tensor:
        """Read one token into each cache.

        Args:
            caches: one for each sequence, without repetition.
            tokens: one for each sequence.
            exact: which sequences get the same logits, to the bit, whoever else is in the batch; none if left out.
                Slower.

        Returns:
            float32 logits, ``[sequences, vocabulary]``.
        """


class _TransformersCache(KVCache):
    def __init__(self, cache: DynamicCache) -> None:
        self.cache = cache

    @property
    def length(self) -> int:  # type: ignore[override]
        length: int = self.cache.get_seq_length()
        return length

    def truncate(self, length: int) -> None:
        if length < self.length:
            self.cache.crop(length - self.length)

    def copy_prefix(self, length: int) -> KVCache:
        layers = [
            (layer.keys[:, :, :length].clone(), layer.values[:, :, :length].clone()) for layer in self.cache.layers
        ]
        return _TransformersCache(DynamicCache(layers))


class PlainDecoder(Decoder):
    """transformers' own forward pass."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        config = model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.context_length = context_length_of(model)
        self.bytes_per_token = 2 * config.num_hidden_layers * heads * head_size * model.dtype.itemsize

    def new_cache(self) -> KVCache:
        """See ``Decoder.new_cache``."""
        return _TransformersCache(DynamicCache(config=self._model.config))

    @torch.inference_mode()
    def prefill(self, cache: KVCache, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """See ``Decoder.prefill``."""
        assert isinstance(cache, _TransformersCache)
        ids = torch.tensor([tokens], device=self._model.device)
        keep = 0 if all_logits else 1
        logits: torch.Tensor = self._model(ids, past_key_values=cache.cache, use_cache=True, logits_to_keep=keep).logits
        return logits[0].float() if all_logits else logits[0, -1].float()

    def decode(
        self,
        caches: Sequence[KVCache],
        tokens: Sequence[int],
        exact: Sequence[bool] = (),  # noqa: ARG002 alone anyway
    ) -> torch.Tensor:
        """See ``Decoder.decode``."""
        return torch.stack([self.prefill(cache, [token]) for cache, token in zip(caches, tokens, strict=True)])
