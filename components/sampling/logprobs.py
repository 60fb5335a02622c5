"""How likely tokens were, as natural logarithms: by the logits as the model gave them, before penalties and filters."""

from collections.abc import Sequence

import numpy as np
import torch

from components.sampling.errors import NotNumbersError
from components.sampling.transfer import Arrivals, is_far, to_device
from components.sampling.vocabulary import Scores

Likeliest = tuple[tuple[int, float], ...]
"""The likeliest tokens and their log probabilities, the likeliest first."""


@torch.inference_mode()
def logprobs_of(logits: torch.Tensor, tokens: Sequence[int], counts: Sequence[int]) -> list[tuple[float, Likeliest]]:
    """The log probability of one token by each row of logits, and the likeliest in its place.

    No second tensor of the logits' size is made, and none is kept.

    Args:
        logits: float32, ``[rows, vocabulary]``.
        tokens: one for each row.
        counts: how many of the likeliest are told, for each row.

    Raises:
        NotNumbersError: the logits are none.
    """
    if not tokens:
        return []
    arrivals, rows = Arrivals(), range(len(tokens))
    scores = Scores(logits, arrivals)
    if is_far(logits.device):
        scores.look_for(max(counts))
    masses = scores.masses(rows, [1.0] * len(rows))
    own = arrivals.want(logits.gather(-1, to_device(np.array(tokens)[:, None], logits.device)))
    if not np.isfinite(scores.largest).all():
        raise NotNumbersError
    normalizers = scores.largest + np.log(masses.numbers.sum(axis=-1))
    chosen = own.numbers[:, 0] - normalizers
    likeliest: list[Likeliest] = [()] * len(rows)
    told = [row for row in rows if counts[row]]
    wanted = [counts[row] for row in told]
    found = scores.at_least(told, list(map(scores.threshold, told, wanted)), wanted) if told else []
    for row, (ids, values) in zip(told, found, strict=True):
        order = np.argsort(-values, kind="stable")
        logprobs = (values[order] - normalizers[row]).tolist()
        likeliest[row] = tuple(zip(ids[order].tolist(), logprobs, strict=True))
    return list(zip(chosen.tolist(), likeliest, strict=True))
