"""What sampling makes of all scores at one place, without drawing: exact where kept scores do not suffice."""

import math

import torch

from components.sampling.choosing import NOTHING_ALLOWED, threshold_of
from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.filters import Cut, ExactStep, filter_scores
from components.sampling.occurrences import apply_occurrences
from components.sampling.sampler import Sampler
from components.sampling.vocabulary import Scores

MORE_CANDIDATES = 16
"""Where top_p reaches beyond the candidates, so many times as many are tried, until it does not."""


@torch.inference_mode()
def exact_step(logits: torch.Tensor, sampler: Sampler) -> ExactStep:
    """What a sampler would choose from.

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
    if sampler.greedy:
        return ExactStep(1, largest, 0.0)
    total = float(scores.masses([0], [sampling.temperature]).numbers.sum()) if sampler.needs_masses else None
    threshold = threshold_of(scores, 0, sampler)
    if threshold is None:
        assert total is not None
        possible = rows[0][rows[0] > -torch.inf]
        return ExactStep(len(possible), float(possible.min()), largest / sampling.temperature + math.log(total))
    count = sampler.candidates
    while True:
        ((_, values),) = scores.at_least([0], [threshold], [None])
        filtered = filter_scores(values, sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p, total)
        if total is None or count is None or filtered.cut[Cut.TOP_P] or count >= vocabulary:
            lowest = float(values[filtered.order[filtered.kept - 1]])
            log_total = largest / sampling.temperature - math.log(filtered.odds[0])
            return ExactStep(filtered.kept, lowest, log_total)
        count *= MORE_CANDIDATES
        threshold = scores.threshold(0, min(count, vocabulary))
