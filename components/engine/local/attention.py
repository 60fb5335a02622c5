"""Keys and values of all sequences, and attention over them, in the two ways that processors like.

On the CPU attention reads the keys and values of each sequence where they lie, which is in one piece unless the
sequence shares another one's beginning. On a GPU a step would then be bound by the number of kernels that are launched;
there one call in each layer attends for all sequences, over keys and values that one more call gathers, so that a step
has as many kernels for thirty readers as for one. Shapes come in few sizes, so that a step can be captured as a CUDA
graph, see ``step_graphs.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.step_graphs import StepGraphs

FEW_TOKENS = 64
"""Up to so many tokens are read with a kv head's query heads as more queries of one head. Measured on two cores with 9
heads over 3 and 1,468 tokens, in µs for 1, 33 and 256 tokens: 98, 880 and 5,800, else 620, 1,350 and 5,700."""

SHORTEST = 256
"""Tokens that are gathered at the least."""

LONG = 2048
"""Tokens of the long sequence beside which a short one is tried."""

Attend = Callable[[int, torch.Tensor], torch.Tensor]
"""From a layer's number and its ``[n, heads + 2 kv heads, head size]`` to ``[n, heads, head size]``."""


@dataclass(frozen=True)
class Shape:
    """What there is of everything."""

    layers: int
    heads: int
    kv_heads: int
    size: int

    @property
    def group(self) -> int:
        """Query heads of a kv head."""
        return self.heads // self.kv_heads


@dataclass(frozen=True)
class Step:
    """One token of each sequence, on the device. There may be more rows than sequences, which nobody looks at.

    Attributes:
        tokens: ``[n]``.
        positions: where they stand, ``[n]``.
        attend: mixes what they see.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    attend: Attend


Forward = Callable[[Step], torch.Tensor]
"""From a step to float32 logits, a row for each of the step's."""


class Attention(ABC):
    """The memory of keys and values, and attention over it.

    Attributes:
        states: ``[layers, 2, kv heads, slots, head size]``, whatever its order in memory.
        rows_alike: whether a sequence gets the same bits whoever else is in a step.
    """

    states: torch.Tensor
    rows_alike: bool

    def __init__(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> None:
        self._shape = shape
        self._dtype = dtype
        self._device = device

    @abstractmethod
    def reserve(self, blocks: int) -> None:
        """Take the memory of so many blocks."""

    def decode(
        self,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        forward: Forward,
        way: Hashable,  # noqa: ARG002 for those that keep steps
    ) -> torch.Tensor:
        """What ``forward`` makes of a step in which each sequence reads a token that stands there.

        Args:
            tables: one for each sequence.
            positions: where each token stands.
            tokens: one for each sequence.
            forward: the model.
            way: what else ``forward`` depends on.
        """
        return forward(self.decoding(tables, positions, tokens))[: len(tables)]

    @abstractmethod
    def decoding(self, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int]) -> Step:
        """A step in which each sequence reads a token that stands there. Its keys and values are written on the way."""

    def reading(self, table: BlockTable, begin: int, new: int) -> Attend:
        """How ``new`` tokens behind the first ``begin`` ones of a sequence see it; they are written on the way."""
        end = begin + new
        shape = self._shape
        news_at, known_at = table.spans(begin, end), table.spans(0, end)
        mask = self._causal_mask(new, end)
        few = shape.group > 1 and self._device.type == "cpu" and new <= FEW_TOKENS
        if few and mask is not None:
            mask = mask.repeat(shape.group, 1)

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            states = self.states[index]
            news = qkv[:, shape.heads :].view(-1, 2, shape.kv_heads, shape.size).permute(1, 2, 0, 3)
            done = 0
            for first, last in news_at:
                states[:, :, first:last] = news[:, :, done : done + last - first]
                done += last - first
            known = _joined([states[:, :, first:last] for first, last in known_at])
            queries, keys, values = qkv[:, : shape.heads], known[None, 0], known[None, 1]
            if few:
                return self._attend_grouped(queries, keys, values, mask)
            mixed = functional.scaled_dot_product_attention(
                queries[None].transpose(1, 2), keys, values, attn_mask=mask, enable_gqa=shape.group > 1
            )
            return mixed[0].transpose(0, 1)

        return attend

    def _attend_grouped(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """The same attention with the query heads of a kv head as more queries: ``[n, heads, head size]``."""
        new, (kv_heads, group, size) = len(queries), (self._shape.kv_heads, self._shape.group, self._shape.size)
        grouped = queries.view(new, kv_heads, group, size).permute(1, 2, 0, 3)
        mixed = functional.scaled_dot_product_attention(
            grouped.reshape(1, kv_heads, group * new, size), keys, values, attn_mask=mask
        )
        return mixed.view(kv_heads, group, new, size).permute(2, 0, 1, 3)

    def _causal_mask(self, new: int, length: int) -> torch.Tensor | None:
        """Which of ``length`` tokens each of the ``new`` last ones sees; None for all of them."""
        if new == 1:
            return None
        if self._device.type == "cuda":
            return causal_lower_right(new, length)  # a kernel that needs no mask in memory
        return torch.ones(new, length, dtype=torch.bool, device=self._device).tril(length - new)


class AttentionInPlace(Attention):
    """Reads the keys and values of each sequence where they lie, one sequence after the other.

    A head's keys lie side by side in memory: attention on the CPU goes through them one head after the other (2.8 times
    as fast with 32 heads).
    """

    rows_alike = True

    def reserve(self, blocks: int) -> None:
        """See ``Attention.reserve``."""
        shape = self._shape
        self.states = torch.empty(
            [shape.layers, 2, shape.kv_heads, blocks * BLOCK, shape.size], dtype=self._dtype, device=self._device
        )

    def decoding(self, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int]) -> Step:
        """See ``Attention.decoding``."""
        # Views of every layer's place for the new token, and of all keys and values up to it: made at once, because
        # making them one by one in every layer takes longer than the attention itself.
        places: list[tuple[torch.Tensor, ...]] = []
        keys: list[list[tuple[torch.Tensor, ...]]] = []
        values: list[list[tuple[torch.Tensor, ...]]] = []
        for table, position in zip(tables, positions, strict=True):
            ((slot, _),) = table.spans(position, position + 1)
            places.append(self.states[:, :, :, slot].unbind())
            spans = table.spans(0, position + 1)
            for kind, views in ((0, keys), (1, values)):
                views.append([self.states[:, kind, None, :, first:last].unbind() for first, last in spans])
        shape = self._shape

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            queries = qkv[:, : shape.heads].view(-1, 1, shape.kv_heads, shape.group, shape.size).unbind()
            news = qkv[:, shape.heads :].view(-1, 2, shape.kv_heads, shape.size).unbind()
            mixed = []
            for number, (query, new) in enumerate(zip(queries, news, strict=True)):
                places[number][index].copy_(new)
                own_keys, own_values = (_joined([view[index] for view in kind[number]]) for kind in (keys, values))
                mixed.append(functional.scaled_dot_product_attention(query, own_keys, own_values))
            return torch.cat(mixed)

        return Step(torch.tensor(tokens, device=self._device), torch.tensor(positions, device=self._device), attend)


class AttentionTogether(Attention):
    """Gathers the keys and values of all sequences in one call, and attends for all in another.

    A token's heads lie side by side in memory, so that a gathered token is one piece.

    Attributes:
        graphs: run the steps that they hold; None runs each operator of each step.
    """

    graphs: StepGraphs | None = None

    def reserve(self, blocks: int) -> None:
        """See ``Attention.reserve``. One block more is for the rows of no sequence."""
        shape = self._shape
        slots = (blocks + 1) * BLOCK
        self._memory = torch.empty(
            [shape.layers, 2, slots, shape.kv_heads, shape.size], dtype=self._dtype, device=self._device
        )
        self.states = self._memory.transpose(2, 3)
        self._nobodys = blocks
        self.rows_alike = self._attends_alike(blocks)

    def decode(
        self,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        forward: Forward,
        way: Hashable,
    ) -> torch.Tensor:
        """See ``Attention.decode``."""
        told = self._told(tables, positions, tokens)
        if self.graphs is not None and self.graphs.hold(told):
            logits = self.graphs.run(way, told, lambda there: forward(self._step(there)))
        else:
            logits = forward(self._step(told))
        return logits[: len(tables)]

    def decoding(self, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int]) -> Step:
        """See ``Attention.decoding``."""
        return self._step(self._told(tables, positions, tokens))

    def _told(self, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """All that a step is told, in one piece for one transfer: ``[rows, 2 + blocks]``, on the host.

        In a row stand a sequence's token, its position, and its blocks.
        """
        rows, length = row_count(len(tables)), gathered_length(max(positions) + 1)
        told = np.zeros((rows, told_numbers(1, length)), dtype=np.int64)
        told[: len(tables), 0] = tokens
        told[: len(tables), 1] = positions
        told[len(tables) :, 2] = self._nobodys
        for row, table in zip(told, tables, strict=False):
            blocks = table.blocks[: length // BLOCK]
            row[2 : 2 + len(blocks)] = blocks
        here = torch.from_numpy(told)
        return here.pin_memory() if self._device.type == "cuda" else here

    def _step(self, told: torch.Tensor) -> Step:
        """The step that is told this, on the host or on the device already."""
        there = told.to(self._device, non_blocking=True)
        rows, length = len(there), (there.shape[1] - 2) * BLOCK
        ids, places, blocks_of = there[:, 0], there[:, 1:2], there[:, 2:]
        slots = (blocks_of[:, :, None] * BLOCK + torch.arange(BLOCK, device=self._device)).view(rows, length)
        seen = torch.arange(length, device=self._device) <= places
        new_slots = slots.gather(1, places)[:, 0]
        # What is not seen counts for nothing, but must be a number: beyond a sequence's end anything may stand.
        slots = torch.where(seen, slots, slots[:, :1]).flatten()
        # Added as it is: what is true or false would be made such a tensor anew in each layer.
        mask = torch.zeros_like(seen, dtype=self._dtype).masked_fill_(~seen, -torch.inf)[:, None, None]
        shape = self._shape

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            memory = self._memory[index]
            news = qkv[:, shape.heads :].view(rows, 2, shape.kv_heads, shape.size)
            memory.index_copy_(1, new_slots, news.transpose(0, 1))
            known = memory.index_select(1, slots).view(2, rows, length, shape.kv_heads, shape.size).transpose(2, 3)
            queries = qkv[:, : shape.heads].view(rows, shape.kv_heads, shape.group, shape.size)
            return functional.scaled_dot_product_attention(queries, known[0], known[1], attn_mask=mask)

        return Step(ids, places[:, 0], attend)

    @torch.inference_mode()
    def _attends_alike(self, blocks: int) -> bool:
        """Tried, because no library promises it: a short sequence alone, and beside a long one."""
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator).to(self._device, self._dtype)

        shape = self._shape
        long = min(blocks - 1, LONG // BLOCK)
        if long < 1:
            return True  # there is no room for two
        self._memory[0, :, : (long + 1) * BLOCK] = random(2, (long + 1) * BLOCK, shape.kv_heads, shape.size)
        tables = [BlockTable([], [0]), BlockTable([], list(range(1, long + 1)))]
        qkv = random(2, shape.heads + 2 * shape.kv_heads, shape.size)
        places = [BLOCK // 2, long * BLOCK - 1]
        alone = self.decoding(tables[:1], places[:1], [0]).attend(0, qkv[:1].clone())
        together = self.decoding(tables, places, [0, 0]).attend(0, qkv.clone())
        return torch.equal(alone[0], together[0])


def row_count(sequences: int) -> int:
    """How many rows a step of so many sequences has: at most a quarter more than needed."""
    return _rounded(sequences)


def gathered_length(tokens: int) -> int:
    """How many tokens are gathered where the longest sequence has so many: at most a quarter more than needed."""
    return _rounded(max(tokens, SHORTEST))


def told_numbers(rows: int, length: int) -> int:
    """How many numbers a step of so many rows is told where so many tokens of each are gathered."""
    return rows * (2 + length // BLOCK)


def _rounded(number: int) -> int:
    """Up to a power of two, or one of three steps between two of them."""
    step = max(1, (1 << (number - 1).bit_length()) // 8)
    return -(-number // step) * step


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """``[…, tokens, size]``: the part itself where there is one, so that nothing is copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-2)
