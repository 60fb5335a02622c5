"""What sampling makes of all scores at one place, without drawing: exact where kept scores do not suffice."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from components.sampling.choosing import NOTHING_ALLOWED, threshold_of
from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.filters import Cut, ExactStep, Filtered, Left, filter_scores
from components.sampling.occurrences import apply_occurrences
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import NUCLEUS_CANDIDATES, Sampler
from components.sampling.vocabulary import Scores

MORE_CANDIDATES = 16
"""Where top_p reaches beyond the candidates, so many times as many are tried, until it does not."""


@torch.inference_mode()
def exact_step(logits: torch.Tensor, sampler: Sampler) -> ExactStep:
    """What a sampler would choose from, and what each of its filters leaves of that.

    Args:
        logits: float32, ``[vocabulary]``, as the model gave them; changed in place.
        sampler: has noted all tokens before this one; it is not changed.

    Raises:
        SamplingError: no token may come next, or one of the parameters' tokens does not exist.
    """
    rows, sampling = logits[None], sampler.sampling
    vocabulary = rows.shape[-1]
    if sampler.occurrences is not None:
        sampler.occurrences.check(vocabulary)
        apply_occurrences(rows, [0], [sampler.occurrences])
    allowed = sampler.allowed(vocabulary)
    if allowed is not None:
        rows[0].masked_fill_(~allowed.to(rows.device), -torch.inf)
    scores = Scores(rows)
    largest = float(scores.largest[0])
    if math.isnan(largest) or largest == math.inf:
        raise NotNumbersError
    if largest == -math.inf:
        raise SamplingError(NOTHING_ALLOWED)
    ((likeliest, _),) = scores.at_least([0], [largest], [1])
    temperature = 1.0 if sampler.greedy else sampling.temperature
    total = float(scores.masses([0], [temperature]).numbers.sum())
    possible = rows[0][rows[0] > -torch.inf]
    stages = [Left(None, len(possible), float(possible.min()), largest / temperature + math.log(total))]
    if sampler.greedy:
        stages.append(Left(Cut.TEMPERATURE, 1, largest, largest))
    elif sampling.top_k or sampling.top_p < 1 or sampling.min_p:
        values, filtered = _filtered(scores, sampler, total, vocabulary)
        stages += _left(values, filtered, sampling)
    return ExactStep(int(likeliest[0]), tuple(stages))


def _filtered(scores: Scores, sampler: Sampler, total: float, vocabulary: int) -> tuple[NDArray[np.float64], Filtered]:
    """The scores of as many tokens as the first filter leaves, or more, and what the filters make of them."""
    sampling = sampler.sampling
    is_nucleus = not sampling.top_k and sampling.top_p < 1  # it is not known before how far it reaches
    count = NUCLEUS_CANDIDATES
    threshold = scores.threshold(0, min(count, vocabulary)) if is_nucleus else threshold_of(scores, 0, sampler)
    assert threshold is not None
    while True:
        ((_, values),) = scores.at_least([0], [threshold], [None])
        filtered = filter_scores(
            values, sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p, total if is_nucleus else None
        )
        if not is_nucleus or filtered.cut[Cut.TOP_P] or count >= vocabulary:
            return values, filtered
        count *= MORE_CANDIDATES
        threshold = scores.threshold(0, min(count, vocabulary))


def _left(values: NDArray[np.float64], filtered: Filtered, sampling: SamplingParams) -> Iterator[Left]:
    ranked = values[filtered.order]
    sums = np.cumsum(np.exp((ranked - ranked[0]) / sampling.temperature))
    kept = len(ranked)
    filters = {Cut.TOP_K: sampling.top_k > 0, Cut.TOP_P: sampling.top_p < 1, Cut.MIN_P: sampling.min_p > 0}
    for cut in (cut for cut, is_on in filters.items() if is_on):
        kept -= filtered.cut.get(cut, 0)
        yield Left(cut, kept, float(ranked[kept - 1]), float(ranked[0] / sampling.temperature + np.log(sums[kept - 1])))
