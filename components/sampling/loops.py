"""Which repetition penalty leads a reply out of the circle that it goes round in."""

from collections.abc import Collection, Sequence

import torch

from components.sampling.filters import penalize

PENALTIES = (1.02, 1.05, 1.08, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0)


@torch.inference_mode()
def mildest_penalty(logits: torch.Tensor, chosen: Sequence[int], seen: Collection[int], above: float) -> float | None:
    """The mildest of ``PENALTIES`` with which some token other than the chosen ones would have been the likeliest.

    A penalty keeps the order of the seen tokens, so in each row only the likeliest seen token and the likeliest other
    one count. A round may be given in pieces: the mildest penalty of all pieces is that of the round.

    Args:
        logits: as the model gave them, float32, ``[n, vocabulary]``; left as they are.
        chosen: the token that was written after each row, ``[n]``.
        seen: all tokens of the prompt and the reply.
        above: the penalty that the reply was written with; only larger ones are tried.

    Returns:
        The penalty; None if none of them would do.
    """
    tried = [penalty for penalty in PENALTIES if penalty > above]
    ids = torch.tensor(sorted(set(seen)), dtype=torch.long, device=logits.device)
    seen_scores, places = logits[:, ids].max(dim=-1)
    seen_ids = ids[places][:, None]
    other_scores, other_ids = (column[:, None] for column in logits.index_fill(1, ids, -torch.inf).max(dim=-1))
    penalized = penalize(seen_scores[:, None], torch.tensor(tried, device=logits.device))  # [n, penalties]
    other_wins = (other_scores > penalized) | ((other_scores == penalized) & (other_ids < seen_ids))
    winners = torch.where(other_wins, other_ids, seen_ids)
    changed = (winners != torch.tensor(chosen, device=logits.device)[:, None]).any(dim=0)
    return next((penalty for penalty, does in zip(tried, changed.tolist(), strict=True) if does), None)
