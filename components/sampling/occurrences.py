"""What a sequence's tokens so far, and the biases that were asked for, do to the scores of the next one."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from components.sampling.errors import SamplingError
from components.sampling.filters import additive_penalty, penalize
from components.sampling.parameters import SamplingParams
from components.sampling.transfer import to_device


class Occurrences:
    """The tokens of one sequence whose scores are changed, each once, and how.

    They are the host's: a step sends those of all sequences to the scores' device together. Kept there, each token that
    is noted would take launches of its own.
    """

    def __init__(self, sampling: SamplingParams, prompt: Sequence[int]) -> None:
        self._sampling = sampling
        self._counted = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._counts: Counter[int] = Counter()  # in the reply
        seen = set(prompt) if sampling.repetition_penalty != 1 else set()
        ids = sorted(seen | sampling.logit_bias.keys())
        self._places = {token: place for place, token in enumerate(ids)}
        self._largest_id = max(ids, default=-1)
        self._ids = np.array(ids, np.int64)
        self._effects = np.array(
            [
                [sampling.logit_bias.get(token, 0.0) for token in ids],
                [sampling.repetition_penalty if token in seen else 1.0 for token in ids],
                [0.0] * len(ids),
            ],
            np.float32,
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
        if place == len(self._ids):
            room = max(64, place)
            self._ids = np.pad(self._ids, (0, room))
            self._effects = np.pad(self._effects, ((0, 0), (0, room)))
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
    def ids(self) -> NDArray[np.int64]:
        """Token ids, ``[n]``."""
        return self._ids[: len(self._places)]

    @property
    def effects(self) -> NDArray[np.float32]:
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
    counts = [len(one.ids) for one in occurrences]
    starts = np.repeat(np.array(rows) * scores.shape[-1], counts)
    places = to_device(starts + np.concatenate([one.ids for one in occurrences]), scores.device)
    bias, repetition, taken_off = to_device(np.concatenate([one.effects for one in occurrences], axis=1), scores.device)
    given = scores.take(places)
    scores.put_(places, penalize(given + bias, repetition, taken_off))
    return torch.split(given, counts)
