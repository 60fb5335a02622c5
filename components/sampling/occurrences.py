"""What a sequence's tokens so far, and the biases that were asked for, do to the scores of the next one."""

from collections import Counter
from collections.abc import Sequence

import torch

from components.sampling.errors import SamplingError
from components.sampling.filters import additive_penalty, penalize
from components.sampling.parameters import SamplingParams
from components.sampling.transfer import to_device


class Occurrences:
    """The tokens of one sequence whose scores are changed, each once, and how; on the device of the scores."""

    def __init__(self, sampling: SamplingParams, prompt: Sequence[int], device: torch.device) -> None:
        self._sampling = sampling
        self._counted = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._counts: Counter[int] = Counter()  # in the reply
        seen = set(prompt) if sampling.repetition_penalty != 1 else set()
        ids = sorted(seen | sampling.logit_bias.keys())
        self._places = {token: place for place, token in enumerate(ids)}
        self._largest_id = max(ids, default=-1)
        self._ids = torch.tensor(ids, dtype=torch.long, device=device)
        self._effects = torch.tensor(
            [
                [sampling.logit_bias.get(token, 0.0) for token in ids],
                [sampling.repetition_penalty if token in seen else 1.0 for token in ids],
                [0.0] * len(ids),
            ],
            device=device,
        )

    @staticmethod
    def matter(sampling: SamplingParams) -> bool:
        """Whether anything is changed with these parameters."""
        changed = sampling.repetition_penalty != 1 or sampling.presence_penalty or sampling.frequency_penalty
        return bool(changed or sampling.logit_bias)

    def note(self, token: int) -> None:
        """Count a token of the reply."""
        first = token not in self._counts
        self._counts[token] += 1
        if not (self._counted or (first and self._sampling.repetition_penalty != 1)):
            return
        place = self._places.setdefault(token, len(self._places))
        if place == self._ids.shape[0]:
            room = max(64, place)
            self._ids = torch.cat([self._ids, self._ids.new_zeros(room)])
            self._effects = torch.cat([self._effects, self._effects.new_zeros(3, room)], dim=1)
        self._largest_id = max(self._largest_id, token)
        sampling = self._sampling
        taken_off = additive_penalty(sampling.presence_penalty, sampling.frequency_penalty, self._counts[token])
        self._ids[place] = token
        self._effects[1, place] = sampling.repetition_penalty
        self._effects[2, place] = taken_off

    def place_of(self, token: int) -> int | None:
        """Where in ``ids`` a token stands; None where it does not."""
        return self._places.get(token)

    def check(self, vocabulary: int) -> None:
        """See that all tokens exist.

        Raises:
            SamplingError: one does not.
        """
        if self._largest_id >= vocabulary:
            raise SamplingError(f"{self._largest_id} is no token: ids run from 0 to {vocabulary - 1}.")

    @property
    def ids(self) -> torch.Tensor:
        """Token ids, ``[n]``."""
        return self._ids[: len(self._places)]

    @property
    def effects(self) -> torch.Tensor:
        """For each of them its bias, its repetition penalty and what is taken off, ``[3, n]``, float32."""
        return self._effects[:, : len(self._places)]


def apply_occurrences(
    scores: torch.Tensor, rows: Sequence[int], occurrences: Sequence[Occurrences]
) -> Sequence[torch.Tensor]:
    """Change the scores of some rows, in place: biases first, then penalties, as transformers does.

    Args:
        scores: float32, ``[rows, vocabulary]``.
        rows: which rows.
        occurrences: one for each of them.

    Returns:
        For each of them the scores that its ``ids`` had before.
    """
    counts = torch.tensor([len(one.ids) for one in occurrences])
    starts = to_device(torch.tensor(rows).mul_(scores.shape[-1]).repeat_interleave(counts), scores.device)
    places = starts + torch.cat([one.ids for one in occurrences])
    bias, repetition, taken_off = torch.cat([one.effects for one in occurrences], dim=1)
    given = scores.take(places)
    scores.put_(places, penalize(given + bias, repetition, taken_off))
    return torch.split(given, counts.tolist())
