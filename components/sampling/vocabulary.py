"""Finds the few tokens that matter among the scores of a large vocabulary, on their device and without sorting it.

Each row is cut into blocks. A block's largest score and its mass are enough to say in which blocks the candidates lie
or a draw falls; only these blocks are looked at, and only they come to the host, for all rows at once. What is found
for a row does not depend on the other rows: comparing is exact, and a block is added up in one order.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from components.sampling.filters import draw
from components.sampling.transfer import Arrivals, Wanted, is_far, to_device

BLOCK = 64
"""Tokens in a block."""

CACHED = 2**17
"""On a CPU so many scores are weighed at once: what is computed between stays in a core's cache."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ids = NDArray[np.int64]
Pivot = tuple[float, int]
"""A token's score and id. Tokens before it are likelier, or as likely with a smaller id."""
Top = tuple[Ids, Singles, float]
"""The ids of the likeliest tokens, their scores, and log of the sum of exp(score) over all others."""


class Scores:
    """The scores of several sequences, as they are now: who changes the tensor makes this anew.

    Whatever the host will look at comes to it together, when it first looks at any of it. What is known to be needed
    before is asked for by ``look_for``, ``look_for_top`` and ``masses``; what was not asked for is fetched by itself,
    from the tensor as it is by then.
    """

    def __init__(self, scores: torch.Tensor, arrivals: Arrivals | None = None) -> None:
        """``scores``: float32, ``[rows, vocabulary]``; what the host looks at comes with these ``arrivals``."""
        self._arrivals = arrivals or Arrivals()
        self._blocks = _in_blocks(scores)
        self._block_maxima = self._blocks.amax(dim=-1)  # [rows, blocks]
        self._maxima = self._arrivals.want(self._block_maxima)
        self._likeliest: tuple[Wanted, Wanted] | None = None  # blocks: which, and their scores
        self._masses_of_top: tuple[Sequence[int], Wanted] | None = None

    @cached_property
    def largest(self) -> Singles:
        """The largest score of each row, ``[rows]``; NaN where a row has one."""
        largest: Singles = self._maxima.numbers.max(axis=-1)
        return largest

    @cached_property
    def _peaks(self) -> torch.Tensor:
        """The same on the device."""
        return self._block_maxima.amax(dim=-1)

    def look_for(self, count: int) -> None:
        """Have the blocks at hand in which so many of each row's likeliest tokens are.

        These tokens, equal ones in the order of their ids, are all in as many blocks with the largest maxima, equal
        ones in the order of the blocks: each of these blocks has a token that comes before those of any other block.
        """
        if not count:
            return
        rows, blocks = self._block_maxima.shape
        bits = (self._block_maxima + 0.0).view(torch.int32)  # 0.0 for -0.0, which is equal
        in_order = (bits ^ (bits >> 31 & 0x7FFFFFFF)).long() << 32  # whole numbers in the order of the maxima
        best = (in_order - torch.arange(blocks, device=bits.device)).topk(min(count, blocks)).indices
        flat = best + torch.arange(0, rows * blocks, blocks, device=bits.device)[:, None]
        found = self._blocks.flatten(0, 1).index_select(0, flat.flatten()).view(*best.shape, BLOCK)
        self._likeliest = self._arrivals.want(best), self._arrivals.want(found)

    def look_for_top(self, rows: Sequence[int]) -> None:
        """Have at hand what ``top`` says of all others. It then goes by the scores as they are now."""
        all_in_order = list(rows) == list(range(len(self._blocks)))  # then nothing is copied
        blocks, peaks = self._blocks, self._peaks
        if not all_in_order:
            there = self._there(rows)
            blocks, peaks = blocks[there], peaks[there]
        # Within 1e-6 of ``masses`` at temperature 1, in a fifth of the time: a block is added up in float32.
        sums = (blocks - peaks[:, None, None]).exp_().sum(dim=-1)
        self._masses_of_top = rows, self._arrivals.want(sums)

    def threshold(self, row: int, count: int) -> float:
        """A score that at least ``count`` of a row's tokens reach, and few more."""
        maxima = self._maxima.numbers[row]
        if count <= len(maxima):
            return float(np.partition(maxima, len(maxima) - count)[len(maxima) - count])
        tokens = self._blocks[row].flatten()
        return float(tokens.topk(min(count, len(tokens))).values[-1])

    def at_least(
        self, rows: Sequence[int], thresholds: Sequence[float], counts: Sequence[int | None]
    ) -> list[tuple[Ids, Floats]]:
        """For each of the rows, which tokens reach its threshold, in the order of their ids, and their scores.

        Tokens of score -inf never do. Where a row has a count, only so many of the likeliest are told, equal ones in
        the order of their ids; ``threshold`` was asked for that many.
        """
        wanted = _numbers(thresholds)
        places, blocks, scores = self._blocks_with(rows, wanted, counts)
        found, inside = np.nonzero(scores >= wanted[places, None])
        ids, values = blocks[found] * BLOCK + inside, scores[found, inside].astype(np.float64)
        ends = np.searchsorted(places[found], np.arange(1, len(rows)))
        each = zip(np.split(ids, ends), np.split(values, ends), counts, strict=True)
        return [_likeliest(ids, values, count) for ids, values, count in each]

    def top(self, rows: Sequence[int], counts: Sequence[int]) -> list[Top]:
        """For each of the rows its so many likeliest tokens, and what all others come to.

        Returns:
            For each row the tokens' ids, the likeliest first and of equal scores the smaller id first; their scores;
            and log of the sum of exp(score) over all others, -inf where there are none. That sum is made of the others
            alone: as a difference of two sums it would be nothing but rounding where the first tokens are nearly all.
        """
        if self._masses_of_top is None:
            self.look_for_top(rows)
        assert self._masses_of_top is not None
        weighed, sums = self._masses_of_top
        masses = sums.numbers[[weighed.index(row) for row in rows]].astype(np.float64)
        fewer = self._blocks.shape[1]  # else all tokens are candidates
        each = zip(rows, counts, strict=True)
        wanted = _numbers([self.threshold(row, count) if count <= fewer else -math.inf for row, count in each])
        places, blocks, scores = self._blocks_with(rows, wanted, counts)
        masses[places, blocks] = 0  # of these blocks the others are added up one by one
        ends = np.searchsorted(places, np.arange(len(rows) + 1))
        tops = []
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            own = slice(ends[place], ends[place + 1])
            flat = scores[own].ravel()
            found = np.flatnonzero(flat >= wanted[place])
            best = found[np.argsort(-flat[found], kind="stable")[:count]]
            largest, values = float(self.largest[row]), flat[best]
            flat[best] = -np.inf
            others = masses[place].sum() + np.exp(flat - np.float32(largest)).sum(dtype=np.float64)
            rest = largest + math.log(others) if others else -math.inf
            tops.append((blocks[own][best // BLOCK] * BLOCK + best % BLOCK, values, rest))
        return tops

    def masses(self, rows: Sequence[int], temperatures: Sequence[float]) -> Wanted:
        """The sum of ``exp((score - largest score) / temperature)`` in each block of these rows.

        Returns:
            ``[n, blocks]``, float64.
        """
        at_once = len(rows)
        if not is_far(self._blocks.device):
            at_once = max(1, CACHED // self._blocks[0].numel())
        there = self._there(rows)
        peaks = self._peaks[there][:, None, None]
        divisors = to_device(np.array(temperatures, dtype=np.float32), there.device)[:, None, None]
        pieces = []
        for begin in range(0, len(rows), at_once):
            piece = slice(begin, begin + at_once)
            shifted = self._blocks[there[piece]] - peaks[piece]
            pieces.append(shifted.div_(divisors[piece]).exp_().sum(dim=-1, dtype=torch.float64))
        return self._arrivals.want(torch.cat(pieces))

    def masses_before(self, row: int, temperature: float, pivot: Pivot) -> Floats:
        """The same of one row, ``[blocks]``, counting only the tokens before the pivot."""
        score, token = pivot
        tokens = self._blocks[row].flatten()
        likelier = torch.cat(
            [
                torch.threshold(tokens[:token], _next_below(score), -torch.inf),
                torch.threshold(tokens[token:], score, -torch.inf),
            ]
        )
        weights = likelier.sub_(float(self.largest[row])).div_(temperature).exp_()
        sums: Floats = self._arrivals.want(weights.view(-1, BLOCK).sum(dim=-1, dtype=torch.float64)).numbers
        return sums

    def draw(
        self,
        rows: Sequence[int],
        masses: Sequence[Floats],
        temperatures: Sequence[float],
        uniforms: Sequence[float],
        pivots: Sequence[Pivot | None],
    ) -> list[Pivot]:
        """Draw a token for each of these rows, of those before its pivot.

        Args:
            rows: which rows.
            masses: of each row's blocks, as ``masses`` or ``masses_before`` gave them.
            temperatures: of each row.
            uniforms: a number from [0, 1) for each row.
            pivots: of each row; None draws from all tokens.

        Returns:
            The tokens, each with its score.
        """
        blocks = np.zeros(len(rows), dtype=np.int64)
        rests = np.zeros(len(rows))
        for place, (mass, uniform) in enumerate(zip(masses, uniforms, strict=True)):
            blocks[place] = block = draw(mass, uniform)
            rests[place] = (uniform * mass.sum() - mass[:block].sum()) / mass[block]
        drawn = []
        for place, scores in enumerate(self._read(np.asarray(rows), blocks)):
            ids = np.arange(BLOCK) + blocks[place] * BLOCK
            weights = np.exp((scores - np.float64(self.largest[rows[place]])) / temperatures[place])
            pivot = pivots[place]
            if pivot is not None:
                weights[(scores < pivot[0]) | ((scores == pivot[0]) & (ids >= pivot[1]))] = 0
            inside = draw(weights, min(max(rests[place], 0.0), 1.0))
            drawn.append((float(scores[inside]), int(ids[inside])))
        return drawn

    def _blocks_with(
        self, rows: Sequence[int], wanted: Singles, counts: Sequence[int | None]
    ) -> tuple[Ids, Ids, Singles]:
        """The blocks that hold a score of at least ``wanted``, ``[n]``: in whose row they are, which, their scores.

        Where a row has a count, those that hold as many of its likeliest tokens may be all.
        """
        own = np.asarray(rows, dtype=np.int64)
        reach = self._maxima.numbers[own] >= wanted[:, None]
        if self._likeliest is not None:
            best, found = (one.numbers for one in self._likeliest)
            at_hand, reaching = best.shape[1], reach.sum(axis=-1)
            enough = np.array([count is not None and count <= at_hand for count in counts], dtype=np.bool_)
            if np.all((reaching <= at_hand) | enough):
                taken = np.arange(at_hand) < reaching[:, None]
                places, ranks = np.nonzero(taken)
                blocks = best[own][taken]
                order = np.lexsort([blocks, places])
                return places, blocks[order], found[own[places], ranks][order]
        places, blocks = np.nonzero(reach)
        return places, blocks, self._read(own[places], blocks)

    def _read(self, rows: Ids, blocks: Ids) -> Singles:
        """Single blocks, ``[n, BLOCK]``, on the host."""
        flat = self._there(rows * self._blocks.shape[1] + blocks)
        return self._arrivals.want(self._blocks.flatten(0, 1).index_select(0, flat)).numbers

    def _there(self, numbers: Sequence[int] | Ids) -> torch.Tensor:
        return to_device(np.asarray(numbers, dtype=np.int64), self._blocks.device)


def _numbers(thresholds: Sequence[float]) -> Singles:
    """Thresholds that -inf does not reach."""
    numbers: Singles = np.maximum(np.array(thresholds, dtype=np.float32), np.finfo(np.float32).min)
    return numbers


def _likeliest(ids: Ids, values: Floats, count: int | None) -> tuple[Ids, Floats]:
    """So many of the likeliest, still in the order of their ids."""
    if count is None or len(ids) <= count:
        return ids, values
    best = np.sort(np.argsort(-values, kind="stable")[:count])
    return ids[best], values[best]


def _in_blocks(scores: torch.Tensor) -> torch.Tensor:
    """``[rows, vocabulary]`` as ``[rows, blocks, BLOCK]``; a vocabulary that does not fill the last one is copied."""
    if missing := -scores.shape[-1] % BLOCK:
        scores = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
    return scores.reshape(len(scores), -1, BLOCK)


def _next_below(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(-np.inf)))
