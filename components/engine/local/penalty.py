"""Which repetition penalty leads a reply out of the circle that it goes round in."""

from collections.abc import Sequence

import torch

from components.sampling.sampler import SeenTokens, penalize

PENALTIES = (1.02, 1.05, 1.08, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0)


def mildest_penalty(logits: torch.Tensor, chosen: Sequence[int], seen: Sequence[int], above: float) -> float | None:
    """The mildest repetition penalty with which some other token would have been likelier in the last round."""
    ids = SeenTokens(seen, logits.device).ids
    for penalty in PENALTIES:
        if penalty <= above:
            continue
        penalized = logits.clone()
        for row in penalized:
            penalize(row, ids, penalty)
        if penalized.argmax(dim=-1).tolist() != list(chosen):
            return penalty
    return None
