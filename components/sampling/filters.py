"""The mathematics of sampling: from scores to which tokens may come next, with which odds.

Penalties, temperature, top_k, top_p and min_p do what transformers' logits processors do, in the order of its
``generate``. Where scores are equal the token with the smaller id comes first, as in ``argmax``; transformers leaves
that to the sort. Nothing here knows a device: scores are numpy arrays, of the whole vocabulary or of the candidates
that were found in it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    Array = TypeVar("Array", NDArray[np.float64], torch.Tensor)

MIN_TEMPERATURE = 1e-5
"""Below this the likeliest token is taken: dividing by it would overflow. vLLM draws the same line."""


class Cut(StrEnum):
    """The filter that ruled a token out."""

    TEMPERATURE = "temperature"  # 0: only the likeliest is left
    TOP_K = "top_k"
    TOP_P = "top_p"
    MIN_P = "min_p"


@dataclass(frozen=True)
class Filtered:
    """What the filters make of scores. All three are ordered by rank: the likeliest token first.

    Attributes:
        order: positions in the scores, ``[n]``.
        odds: ``[n]``, float64; 0 for what was cut, 1 together.
        cut: how many tokens each filter cut, in the order in which they were applied. They cut from the unlikely end,
            so ``order`` holds what is kept, then the last filter's tokens, and the first filter's at the end.
    """

    order: NDArray[np.intp]
    odds: NDArray[np.float64]
    cut: dict[Cut, int]

    @property
    def kept(self) -> int:
        """How many tokens may come next."""
        return len(self.order) - sum(self.cut.values())

    def cut_by(self, rank: int) -> Cut | None:
        """Which filter cut the token of this rank; None if it is kept."""
        first = self.kept
        for cut, count in reversed(self.cut.items()):
            if first <= rank < first + count:
                return cut
            first += count
        return None

    def draw(self, uniform: float) -> int:
        """The position in the scores of one token, drawn with a uniform number from [0, 1)."""
        return int(self.order[draw(self.odds[: self.kept], uniform)])


@dataclass(frozen=True)
class Left:
    """What is left behind one filter, in three numbers.

    The odds of these tokens are ``exp(score / temperature - log_total)``, with scores after biases and penalties, and
    those of all others 0. At temperature 0 they are those of temperature 1.

    Attributes:
        cut: the filter; None for what there is before all of them.
        kept: how many tokens are left.
        lowest: the lowest score among these; of tokens that are as likely some may be cut.
        log_total: log of the sum of exp(score / temperature) over these.
    """

    cut: Cut | None
    kept: int
    lowest: float
    log_total: float


@dataclass(frozen=True)
class ExactStep:
    """What sampling chooses from at one place, without drawing.

    Attributes:
        likeliest: the token of the highest score, of equal ones the smallest id.
        stages: what there is before the filters, and then what each that is on left, in the order of ``Cut``. The next
            token is drawn from the last.
    """

    likeliest: int
    stages: tuple[Left, ...]


def penalize(scores: "Array", repetition: "Array | float", taken_off: "Array | float" = 0.0) -> "Array":
    """The scores of tokens that occurred before, made less likely.

    Positive scores are divided by the repetition penalty, negative ones multiplied ("CTRL", Keskar et al., 2019); then
    the presence penalty and the frequency penalty times the count are taken off, as OpenAI's reference says.

    Args:
        scores: any shape; a numpy array or a tensor.
        repetition: the repetition penalty; 1 changes nothing.
        taken_off: see ``additive_penalty``.
    """
    return scores.clip(min=0) / repetition + scores.clip(max=0) * repetition - taken_off


def additive_penalty(presence: float, frequency: float, count: int) -> float:
    """What a token's score loses when the reply has it so many times."""
    return presence + frequency * count if count else 0.0


def filter_scores(
    scores: NDArray[np.float64],
    temperature: float,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    total: float | None = None,
) -> Filtered:
    """Apply temperature, top_k, top_p and min_p.

    Args:
        scores: ``[n]``, in the order of the tokens' ids.
        temperature: below ``MIN_TEMPERATURE`` only the likeliest token is kept.
        top_k: the so many likeliest tokens are kept, and all that are as likely as the last of them; 0 keeps all.
        top_p: the fewest tokens are kept that together have this probability, of what top_k left.
        min_p: tokens are kept whose probability is at least this part of the likeliest one's.
        total: where ``scores`` are those of candidates only, and there is no top_k: the sum of
            ``exp((score - largest score) / temperature)`` over the whole vocabulary.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    odds = np.zeros(len(ranked))
    if temperature < MIN_TEMPERATURE:
        odds[0] = 1.0
        return Filtered(order, odds, {Cut.TEMPERATURE: len(ranked) - 1})
    kept = len(ranked)
    cut = {}
    if 0 < top_k < kept:
        kept = int(np.searchsorted(-ranked, -ranked[top_k - 1], side="right"))
        cut[Cut.TOP_K] = len(ranked) - kept
        total = None
    weights = np.exp((ranked[:kept] - ranked[0]) / temperature)
    if top_p < 1:
        reached = np.cumsum(weights) / (weights.sum() if total is None else total)
        cut[Cut.TOP_P] = kept - min(kept, 1 + int(np.searchsorted(reached, top_p)))
        kept -= cut[Cut.TOP_P]
    if min_p > 0:
        cut[Cut.MIN_P] = kept - int(np.searchsorted(-weights[:kept], -min_p, side="right"))
        kept -= cut[Cut.MIN_P]
    odds[:kept] = weights[:kept] / weights[:kept].sum()
    return Filtered(order, odds, cut)


def draw(weights: NDArray[np.float64], uniform: float) -> int:
    """A position, as often as its weight says: the inverse of the cumulative distribution at ``uniform`` in [0, 1)."""
    cumulative = np.cumsum(weights)
    drawn = int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))
    return min(drawn, int(np.flatnonzero(weights)[-1]))  # never one without weight, however sums are rounded
