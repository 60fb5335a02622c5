"""transformers' own forward pass, for models that ``LlamaRunner`` does not know, one sequence after the other.

transformers' caches grow by copying, hold more than they say after they are cut, and forget the beginning where a model
looks back only so far, so that a beginning could not be used again. Here every layer keeps all keys and values in the
blocks of the pool; how far a layer looks back is left to the model's mask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import (
    CacheLayerMixin,
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

from components.checkpoints.errors import UnsupportedCheckpointError
from components.engine.local.block_pool import BLOCK, BlockTable, blocks_for
from components.engine.local.runner import Runner
from components.model.generation import context_length_of

TRIED_TOKENS = 24
"""So many are read at start, once with transformers' cache of nothing and once in pieces, to compare."""

LARGEST_DIFFERENCE = 0.1
"""Of the two readings, relative to the logits. Rounding gives 0.01 in bfloat16, a misread cache 0.3 and more."""


@dataclass(frozen=True)
class _Shape:
    """Of one token's keys and values in a layer."""

    heads: int
    key_size: int
    value_size: int

    @property
    def numbers(self) -> int:
        return self.heads * (self.key_size + self.value_size)


class PlainRunner(Runner):
    """Runs any causal language model of transformers that keeps keys and values for each token, and nothing else."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Take a model.

        Raises:
            UnsupportedCheckpointError: it keeps something else, such as the state of a recurrent layer.
        """
        self._model = model
        self._shapes = _find_shapes(model)
        self.context_length = context_length_of(model)
        self.vocabulary = model.config.get_text_config().vocab_size
        self.device = model.device
        self.shares_beginnings = _positions_are_fixed(model)
        self.bytes_per_token = sum(shape.numbers for shape in self._shapes if shape) * model.dtype.itemsize

    def reserve(self, blocks: int) -> None:
        """See ``Runner.reserve``. Raises ``UnsupportedCheckpointError`` if the model cannot be run over blocks."""
        slots = blocks * BLOCK
        self._pool = torch.empty(
            slots * self.bytes_per_token // self._model.dtype.itemsize, dtype=self._model.dtype, device=self.device
        )
        self._layers = list(self._lay_out(slots))
        self._try(range(min(blocks, blocks_for(TRIED_TOKENS))))

    def prefill(self, table: BlockTable, begin: int, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """See ``Runner.prefill``."""
        logits = self._run(table, begin, tokens, keep=0 if all_logits else 1)
        return logits if all_logits else logits[-1]

    def decode(
        self,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        exact: Sequence[bool] = (),  # noqa: ARG002 alone anyway
    ) -> torch.Tensor:
        """See ``Runner.decode``."""
        each = zip(tables, positions, tokens, strict=True)
        return torch.stack([self.prefill(table, position, [token]) for table, position, token in each])

    @torch.inference_mode()
    def _run(self, table: BlockTable, begin: int, tokens: Sequence[int], keep: int) -> torch.Tensor:
        end = begin + len(tokens)
        spans = table.spans(begin, end), table.spans(0, end)
        cache = Cache(layers=[DummyLayer() if one is None else _BlockLayer(one, begin, *spans) for one in self._layers])
        ids = torch.tensor([tokens], device=self.device)
        logits: torch.Tensor = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=keep).logits
        return logits[0].float()

    def _lay_out(self, slots: int) -> Iterator[tuple[torch.Tensor, torch.Tensor] | None]:
        """Each layer's keys and values, ``[heads, slots, size]``, as parts of the one piece of memory."""
        begin = 0
        for shape in self._shapes:
            if shape is None:
                yield None
                continue
            parts = []
            for size in (shape.key_size, shape.value_size):
                end = begin + shape.heads * slots * size
                parts.append(self._pool[begin:end].view(shape.heads, slots, size))
                begin = end
            yield parts[0], parts[1]

    def _try(self, blocks: Sequence[int]) -> None:
        """Compare a reading in pieces, over blocks in another order than they lie, with one without a cache.

        Raises:
            UnsupportedCheckpointError: they differ.
        """
        count = min(TRIED_TOKENS, len(blocks) * BLOCK, self.context_length)
        tokens = [1 + number % (self.vocabulary - 1) for number in range(count)]
        table = BlockTable((), blocks[::-1])
        middle = count // 2
        self._run(table, 0, tokens[:middle], keep=1)
        got = self._run(table, middle, tokens[middle:], keep=1)
        with torch.inference_mode():
            wanted = self._model(torch.tensor([tokens], device=self.device), use_cache=False).logits[0, -1:].float()
        if not (got - wanted).norm() <= LARGEST_DIFFERENCE * wanted.norm():
            raise UnsupportedCheckpointError(
                f"A model of type {self._model.config.model_type!r} gives other results with the keys and values that "
                "are kept here than without. Use a checkpoint of another type, such as Llama's."
            )


class _BlockLayer(CacheLayerMixin):
    """One layer's keys and values of one sequence for one call of the model."""

    is_sliding = False

    def __init__(
        self,
        states: tuple[torch.Tensor, torch.Tensor],
        begin: int,
        news_at: Sequence[tuple[int, int]],
        known_at: Sequence[tuple[int, int]],
    ) -> None:
        super().__init__()
        self.is_initialized = True
        self._states = states
        self._length = begin
        self._news_at = news_at
        self._known_at = known_at

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take ``[1, heads, new, size]``; give what attention reads, ``[1, heads, all, size]``."""
        self._length += key_states.shape[-2]
        return self._exchange(self._states[0], key_states), self._exchange(self._states[1], value_states)

    def _exchange(self, states: torch.Tensor, news: torch.Tensor) -> torch.Tensor:
        done = 0
        for first, last in self._news_at:
            states[:, first:last] = news[0, :, done : done + last - first]
            done += last - first
        known = [states[None, :, first:last] for first, last in self._known_at]
        return known[0] if len(known) == 1 else torch.cat(known, dim=-2)

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing is to be made: the memory is reserved."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many keys there are for the next queries, and at which position they begin."""
        return self._length + query_length, 0

    def get_seq_length(self) -> int:
        """How many tokens have been read."""
        return self._length

    def get_max_length(self) -> int:
        """No limit of its own."""
        return -1


def _find_shapes(model: PreTrainedModel) -> list[_Shape | None]:
    """What each layer keeps of a token: asked of the model itself. None for layers that use another one's.

    Raises:
        UnsupportedCheckpointError: something else than keys and values.
    """
    cache = DynamicCache(config=model.config)
    kinds = {type(layer) for layer in cache.layers} - {DynamicLayer, DynamicSlidingWindowLayer, DummyLayer}
    if kinds:
        raise UnsupportedCheckpointError(
            f"A model of type {model.config.model_type!r} keeps more than keys and values of each token "
            f"({', '.join(sorted(kind.__name__ for kind in kinds))}), which cannot be run here. Use a checkpoint of "
            "another type, such as Llama's."
        )
    with torch.inference_mode():
        model(torch.tensor([[0, 1]], device=model.device), past_key_values=cache, use_cache=True)
    return [_shape_of(layer) for layer in cache.layers]


def _shape_of(layer: Any) -> _Shape | None:
    if isinstance(layer, DummyLayer) or not layer.is_initialized:
        return None
    return _Shape(layer.keys.shape[1], layer.keys.shape[-1], layer.values.shape[-1])


def _positions_are_fixed(model: PreTrainedModel) -> bool:
    """Whether keys depend on nothing but the tokens up to them; some ways to lengthen a context look at the whole."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    kinds = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    return all(kind.get("rope_type") not in ("dynamic", "longrope") for kind in kinds)
