"""From logits to the next token of each sequence.

What is done to the logits stands in ``filters``. The device finds the few candidates; the rest is arithmetic on a
handful of numbers, in float64 and for each sequence by itself, so a sequence draws the same token whoever else is in
the batch. Equal logits count in the order of the tokens' ids.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.filters import Cut, filter_scores
from components.sampling.kept import StepScores
from components.sampling.logprobs import Likeliest, logprobs_of
from components.sampling.occurrences import Occurrences, apply_occurrences
from components.sampling.sampler import NUCLEUS_CANDIDATES, Sampler
from components.sampling.transfer import Arrivals, Wanted, is_far, to_device
from components.sampling.vocabulary import Floats, Pivot, Scores

logger = logging.getLogger(__name__)

MOST_LOOKED_FOR = 256
"""Of a larger top_k the candidates come by themselves: a block for each of them is more than it may save."""

EQUALS = 16
"""And so many more, because in bfloat16 several scores are equal to the last one."""

ROUNDING = 1e-5
"""By how much more than float32 rounds a threshold is lowered, relative to the score."""

NOTHING_ALLOWED = (
    "No token may come next: the JSON schema, logit_bias, min_tokens and ignore_eos rule out all of them together. "
    "Ask for less."
)


@dataclass(frozen=True)
class SampledToken:
    """The next token of a sequence.

    Attributes:
        token: its id.
        logprob: its natural log probability, before penalties and filters; None where nobody asked.
        top: the likeliest in its place.
        scores: the scores that are kept of this step; None where nobody asked.
    """

    token: int
    logprob: float | None = None
    top: Likeliest = ()
    scores: StepScores | None = None


@torch.inference_mode()
def choose(logits: torch.Tensor, samplers: Sequence[Sampler]) -> list[SampledToken | SamplingError]:
    """Choose the next token of each sequence.

    Args:
        logits: float32, ``[sequences, vocabulary]``; changed in place.
        samplers: one for each sequence. None is changed: the chosen tokens are not noted yet.

    Returns:
        For each sequence its token, or why it has none. What fails for one changes nothing for the others; only a
        failure of the device is raised.
    """
    if len(logits) != len(samplers):
        raise ValueError(f"{len(logits)} rows of logits for {len(samplers)} sequences")
    if not samplers:
        return []
    step, arrivals = _Step(samplers), Arrivals()
    # What the device does comes first, as if all were well, so that the host waits for it once.
    given = scores = Scores(logits, arrivals)
    told = [row for row, sampler in enumerate(samplers) if sampler.logprobs is not None]
    kept = [row for row, sampler in enumerate(samplers) if sampler.kept_scores]
    unchanged = logits[to_device(np.array(told), logits.device)] if told else logits[:0]  # a copy
    adjusts = step.prepare(logits.shape[-1])
    candidates = step.most_candidates if is_far(logits.device) else 0
    given.look_for(max([candidates * (not adjusts), *(samplers[row].kept_scores for row in kept)]))
    if kept:
        given.look_for_top(kept)
    if adjusts:
        step.adjust(logits)
        scores = Scores(logits, arrivals)
        scores.look_for(candidates)
    step.weigh(scores)
    step.check(given, NotNumbersError())
    step.check(scores, SamplingError(NOTHING_ALLOWED))
    step.pick_from_candidates(scores)
    step.pick_from_all(scores)
    if told:
        step.tell_logprobs(unchanged, told)
    if kept:
        step.tell_scores(given, logits, kept)
    return [step.outcomes[row] for row in range(len(samplers))]


class _Step:
    """The next token for each of several sequences; a row is a sequence's place among them.

    Attributes:
        outcomes: what is known so far, by row.
    """

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        self.outcomes: dict[int, SampledToken | SamplingError] = {}
        self._samplers = samplers
        self._occurrences: dict[int, Occurrences] = {}
        self._masks: dict[int, torch.Tensor] = {}
        self._weighed: list[int] = []
        self._weights: Wanted | None = None  # of each block of the vocabulary
        self._given: dict[int, torch.Tensor] = {}  # the scores that penalties changed, as the model gave them

    @property
    def open(self) -> list[int]:
        """The rows that have neither a token nor an error yet."""
        return [row for row in range(len(self._samplers)) if row not in self.outcomes]

    def check(self, scores: Scores, problem: SamplingError) -> None:
        """Leave the rows out whose largest score is no number, or none."""
        largest = scores.largest
        for row in self.open:
            if not math.isfinite(largest[row]):
                self.outcomes[row] = problem

    @property
    def most_candidates(self) -> int:
        """How many of the likeliest tokens may be looked at of a row."""
        counts = [sampler.candidates or NUCLEUS_CANDIDATES for sampler in self._samplers]
        return min(max(counts), MOST_LOOKED_FOR) + EQUALS

    def prepare(self, vocabulary: int) -> bool:
        """See what changes the scores; return whether anything does."""
        for row, sampler in enumerate(self._samplers):
            with self._failing_alone(row):
                if (allowed := sampler.allowed(vocabulary)) is not None:
                    self._masks[row] = allowed
                if sampler.occurrences is not None:
                    sampler.occurrences.check(vocabulary)
                    self._occurrences[row] = sampler.occurrences
        return bool(self._occurrences or self._masks)

    def adjust(self, logits: torch.Tensor) -> None:
        """Apply biases and penalties, and rule out what may not come next."""
        if self._occurrences:
            given = apply_occurrences(logits, list(self._occurrences), list(self._occurrences.values()))
            self._given = dict(zip(self._occurrences, given, strict=True))
        if self._masks:
            rows = to_device(np.array(list(self._masks)), logits.device)
            forbidden = to_device(~torch.stack(list(self._masks.values())), logits.device)
            logits[rows] = logits[rows].masked_fill_(forbidden, -torch.inf)

    def weigh(self, scores: Scores) -> None:
        """Weigh all tokens, for those who draw from all or from a part of the whole probability."""
        self._weighed = [row for row in self.open if self._samplers[row].needs_masses]
        if self._weighed:
            temperatures = [self._samplers[row].sampling.temperature for row in self._weighed]
            self._weights = scores.masses(self._weighed, temperatures)

    def masses(self, row: int) -> Floats | None:
        """The masses of a row's blocks; None where they do not matter."""
        if self._weights is None or row not in self._weighed:
            return None
        masses: Floats = self._weights.numbers[self._weighed.index(row)]
        return masses

    def pick_from_candidates(self, scores: Scores) -> None:
        """Draw where a few tokens are all that can come next."""
        thresholds: dict[int, float] = {}
        for row in self.open:
            with self._failing_alone(row):
                threshold = threshold_of(scores, row, self._samplers[row])
                if threshold is not None:
                    thresholds[row] = threshold
        if not thresholds:
            return
        rows, limits = list(thresholds), [self._samplers[row].limit for row in thresholds]
        for row, (ids, values) in zip(rows, scores.at_least(rows, list(thresholds.values()), limits), strict=True):
            with self._failing_alone(row):
                sampling, masses = self._samplers[row].sampling, self.masses(row)
                total = None if masses is None else float(masses.sum())
                filtered = filter_scores(
                    values, sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p, total
                )
                if total is None or sampling.min_p or filtered.cut[Cut.TOP_P]:
                    self.outcomes[row] = SampledToken(int(ids[filtered.draw(self._samplers[row].uniform())]))
                # Otherwise top_p may reach beyond the candidates.

    def pick_from_all(self, scores: Scores) -> None:
        """Draw from all of the vocabulary; with top_p, again from what is likelier until the draw is in the nucleus.

        No sorting, and few rounds even for a small nucleus. From FlashInfer's "Sorting-Free GPU Kernels for LLM
        Sampling" (2025).
        """
        attempt = 0
        pivots: dict[int, Pivot] = {}
        masses = {row: mass for row in self.open if (mass := self.masses(row)) is not None}
        totals = {row: float(mass.sum()) for row, mass in masses.items()}
        while rows := self.open:
            samplers = [self._samplers[row] for row in rows]
            drawn = scores.draw(
                rows,
                [masses[row] for row in rows],
                [sampler.sampling.temperature for sampler in samplers],
                [sampler.uniform(attempt) for sampler in samplers],
                [pivots.get(row) for row in rows],
            )
            for row, sampler, token in zip(rows, samplers, drawn, strict=True):
                if sampler.sampling.top_p < 1:
                    likelier = scores.masses_before(row, sampler.sampling.temperature, token)
                    if likelier.sum() >= sampler.sampling.top_p * totals[row]:
                        pivots[row], masses[row] = token, likelier
                        continue
                self.outcomes[row] = SampledToken(token[1])
            attempt += 1

    def tell_logprobs(self, logits: torch.Tensor, rows: Sequence[int]) -> None:
        """Add log probabilities to the tokens of some rows, whose logits these are, as the model gave them."""
        tokens = {row: outcome.token for row in rows if isinstance(outcome := self.outcomes[row], SampledToken)}
        places = [place for place, row in enumerate(rows) if row in tokens]
        counts = [self._samplers[row].logprobs or 0 for row in tokens]
        told = logprobs_of(logits if len(places) == len(rows) else logits[places], list(tokens.values()), counts)
        for (row, token), (logprob, top) in zip(tokens.items(), told, strict=True):
            self.outcomes[row] = SampledToken(token, logprob, top)

    def tell_scores(self, given: Scores, logits: torch.Tensor, rows: Sequence[int]) -> None:
        """Add the scores that are kept to the tokens of some rows, as the model has ``given`` them."""
        rows = [row for row in rows if isinstance(self.outcomes[row], SampledToken)]
        tops = given.top(rows, [self._samplers[row].kept_scores for row in rows])
        for row, (ids, values, rest) in zip(rows, tops, strict=True):
            outcome = self.outcomes[row]
            if isinstance(outcome, SampledToken):
                found = np.flatnonzero(ids == outcome.token)
                score = float(values[found[0]]) if len(found) else self._given_score(logits, row, outcome.token)
                scores = StepScores(ids.astype(np.int32), values, rest, outcome.token, score)
                self.outcomes[row] = replace(outcome, scores=scores)

    def _given_score(self, logits: torch.Tensor, row: int, token: int) -> float:
        """A token's score before biases and penalties: no copy of all of them was made for the few who need it."""
        if row in self._given:
            occurrences = self._samplers[row].occurrences
            place = None if occurrences is None else occurrences.place_of(token)
            if place is not None:
                return float(self._given[row][place])
        return float(logits[row, token])

    @contextmanager
    def _failing_alone(self, row: int) -> Iterator[None]:
        """What is raised within is this row's outcome, and nobody else's."""
        try:
            yield
        except SamplingError as error:
            self.outcomes[row] = error
        except Exception as error:  # one sequence's failure is not the others'
            logger.exception("No token could be chosen for a sequence")
            self.outcomes[row] = SamplingError(f"No token could be chosen ({type(error).__name__}). Try again.")


def threshold_of(scores: Scores, row: int, sampler: Sampler) -> float | None:
    """The score that every candidate of a row reaches; None where all tokens are candidates."""
    sampling, count = sampler.sampling, sampler.candidates
    if count is not None:
        return scores.threshold(row, count)
    if sampling.min_p:
        largest = float(scores.largest[row])
        return largest + sampling.temperature * math.log(sampling.min_p) - ROUNDING * max(1.0, abs(largest))
    return None
