"""Finds the few tokens that matter among the scores of a large vocabulary, on their device and without sorting it.

Each row is cut into blocks. A block's largest score and its mass are enough to say in which blocks the candidates lie
or a draw falls; only these blocks are looked at, and only they come to the host, for all rows at once. What is found
for a row does not depend on the other rows: comparing is exact, and a block is added up in one order.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from components.sampling.filters import draw

BLOCK = 64
"""Tokens in a block."""

CACHED = 2**17
"""On a CPU so many scores are weighed at once: what is computed between stays in a core's cache."""

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Pivot = tuple[float, int]
"""A token's score and id. Tokens before it are likelier, or as likely with a smaller id."""
Top = tuple[Ids, NDArray[np.float32], float]
"""The ids of the likeliest tokens, their scores, and log of the sum of exp(score) over all others."""


class Scores:
    """The scores of several sequences, as they are now: who changes the tensor makes this anew.

    Attributes:
        largest: the largest score of each row, ``[rows]``; NaN where a row has one.
    """

    def __init__(self, scores: torch.Tensor) -> None:
        """``scores``: float32, ``[rows, vocabulary]``."""
        self._blocks = _in_blocks(scores)
        self._maxima: NDArray[np.float32] = self._blocks.amax(dim=-1).cpu().numpy()  # [rows, blocks]
        self.largest: NDArray[np.float32] = self._maxima.max(axis=-1)

    def threshold(self, row: int, count: int) -> float:
        """A score that at least ``count`` of a row's tokens reach, and few more."""
        blocks = self._maxima.shape[1]
        if count <= blocks:
            return float(np.partition(self._maxima[row], blocks - count)[blocks - count])
        tokens = self._blocks[row].flatten()
        return float(tokens.topk(min(count, len(tokens))).values[-1])

    def at_least(self, rows: Sequence[int], thresholds: Sequence[float]) -> list[tuple[Ids, Floats]]:
        """For each of the rows, which tokens reach its threshold, in the order of their ids, and their scores.

        Tokens of score -inf never do.
        """
        wanted = np.maximum(np.array(thresholds, dtype=np.float32), np.finfo(np.float32).min)
        places, blocks, scores = self._blocks_with(rows, wanted)
        found, inside = np.nonzero(scores >= wanted[places, None])
        ids, values = blocks[found] * BLOCK + inside, scores[found, inside].astype(np.float64)
        ends = np.searchsorted(places[found], np.arange(1, len(rows)))
        return list(zip(np.split(ids, ends), np.split(values, ends), strict=True))

    def top(self, rows: Sequence[int], counts: Sequence[int]) -> list[Top]:
        """For each of the rows its so many likeliest tokens, and what all others come to.

        Returns:
            For each row the tokens' ids, the likeliest first and of equal scores the smaller id first; their scores;
            and log of the sum of exp(score) over all others, -inf where there are none. That sum is made of the others
            alone: as a difference of two sums it would be nothing but rounding where the first tokens are nearly all.
        """
        thresholds = [self.threshold(row, count) for row, count in zip(rows, counts, strict=True)]
        wanted = np.maximum(np.array(thresholds, dtype=np.float32), np.finfo(np.float32).min)
        places, blocks, scores = self._blocks_with(rows, wanted)
        masses = self._masses_at_one(rows)
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

    def masses(self, rows: Sequence[int], temperatures: Sequence[float]) -> Floats:
        """The sum of ``exp((score - largest score) / temperature)`` in each block of these rows, ``[n, blocks]``."""
        at_once = len(rows)
        if self._blocks.device.type == "cpu":
            at_once = max(1, CACHED // self._blocks[0].numel())
        scale = np.stack([self.largest[rows], np.array(temperatures, dtype=np.float32)])[..., None, None]
        peaks, divisors = torch.from_numpy(scale).to(self._blocks.device)
        pieces = []
        for begin in range(0, len(rows), at_once):
            piece = slice(begin, begin + at_once)
            shifted = self._blocks[rows[piece]] - peaks[piece]
            pieces.append(shifted.div_(divisors[piece]).exp_().sum(dim=-1, dtype=torch.float64))
        sums: Floats = torch.cat(pieces).cpu().numpy()
        return sums

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
        sums: Floats = weights.view(-1, BLOCK).sum(dim=-1, dtype=torch.float64).cpu().numpy()
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

    def _masses_at_one(self, rows: Sequence[int]) -> Floats:
        """Like ``masses`` at temperature 1, within 1e-6, and in a fifth of the time: a block is added up in float32."""
        all_in_order = list(rows) == list(range(len(self._blocks)))  # then nothing is copied
        blocks = self._blocks if all_in_order else self._blocks[rows]
        peaks = torch.from_numpy(self.largest[rows])[:, None, None].to(blocks.device)
        sums: Floats = (blocks - peaks).exp_().sum(dim=-1).cpu().numpy().astype(np.float64)
        return sums

    def _blocks_with(self, rows: Sequence[int], wanted: NDArray[np.float32]) -> tuple[Ids, Ids, NDArray[np.float32]]:
        """The blocks that hold a score of at least ``wanted``, ``[n]``: in whose row they are, which, their scores."""
        places, blocks = np.nonzero(self._maxima[rows] >= wanted[:, None])
        return places, blocks, self._read(np.asarray(rows)[places], blocks)

    def _read(self, rows: Ids, blocks: Ids) -> NDArray[np.float32]:
        """Single blocks, ``[n, BLOCK]``, on the host."""
        flat = torch.from_numpy(rows * self._blocks.shape[1] + blocks).to(self._blocks.device)
        found: NDArray[np.float32] = self._blocks.flatten(0, 1).index_select(0, flat).cpu().numpy()
        return found


def _in_blocks(scores: torch.Tensor) -> torch.Tensor:
    """``[rows, vocabulary]`` as ``[rows, blocks, BLOCK]``; a vocabulary that does not fill the last one is copied."""
    if missing := -scores.shape[-1] % BLOCK:
        scores = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
    return scores.reshape(len(scores), -1, BLOCK)


def _next_below(score: float) -> float:
    return float(np.nextafter(np.float32(score), np.float32(-np.inf)))
