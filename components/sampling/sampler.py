"""From logits to the next token of each sequence.

What is done to the logits stands in ``filters``. The device finds the few candidates; the rest is arithmetic on a
handful of numbers, in float64 and for each sequence by itself, so a sequence draws the same token whoever else is in
the batch. Equal logits count in the order of the tokens' ids.
"""

import logging
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.filters import MIN_TEMPERATURE, Cut, filter_scores
from components.sampling.grammar import Grammar
from components.sampling.kept import StepScores
from components.sampling.logprobs import Likeliest, logprobs_of
from components.sampling.occurrences import Occurrences, apply_occurrences
from components.sampling.parameters import SamplingParams
from components.sampling.vocabulary import Floats, Pivot, Scores, Top

logger = logging.getLogger(__name__)

NUCLEUS_CANDIDATES = 64
"""With top_p and no top_k, so many candidates are tried before the draw is from all of the vocabulary."""

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


class Sampler:
    """How one sequence chooses its tokens: its parameters, and what they need to know of the tokens so far.

    Only ``note`` changes it, so a step that failed can be taken again.
    """

    def __init__(
        self,
        sampling: SamplingParams,
        prompt: Sequence[int],
        seed: int,
        device: torch.device,
        grammar: Grammar | None = None,
        logprobs: int | None = None,
        end_tokens: Collection[int] = (),
        kept_scores: int = 0,
    ) -> None:
        """Begin before the first token.

        Args:
            sampling: the parameters.
            prompt: what the repetition penalty counts besides the reply.
            seed: the same seed gives the same tokens for the same logits.
            device: where the logits are.
            grammar: what the reply follows.
            logprobs: how many of the likeliest tokens are told with each token; None tells nothing.
            end_tokens: the model's own, which ``min_tokens`` and ``ignore_eos`` are about.
            kept_scores: of how many of the likeliest tokens the scores are told with each token; 0 tells none.
        """
        self.sampling = sampling
        self.logprobs = logprobs
        self.kept_scores = kept_scores
        self._seed = seed
        self._position = 0
        self._grammar = grammar
        self.occurrences = Occurrences(sampling, prompt, device) if Occurrences.matter(sampling) else None
        self._never = sorted(end_tokens) if sampling.ignore_eos else []
        self._not_yet = sorted({*end_tokens, *sampling.stop_token_ids}) if sampling.min_tokens else []

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.sampling.temperature < MIN_TEMPERATURE

    @property
    def needs_masses(self) -> bool:
        """Whether choosing needs the mass of all tokens."""
        sampling = self.sampling
        return not (self.greedy or sampling.top_k) and (sampling.top_p < 1 or not sampling.min_p)

    @property
    def complete(self) -> bool:
        """Whether the grammar is fulfilled and allows nothing more."""
        return self._grammar is not None and self._grammar.complete

    def note(self, token: int) -> None:
        """A token was written: the penalties count it, the grammar and the random numbers go on behind it.

        Raises:
            SamplingError: the grammar cannot go on; nothing was noted, and the sequence cannot be continued.
        """
        if self._grammar is not None:
            self._grammar.note(token)
        if self.occurrences is not None:
            self.occurrences.note(token)
        self._position += 1

    def uniform(self, attempt: int = 0) -> float:
        """A random number from [0, 1) for the next token; attempts at the same token get different ones.

        Philox is a function of seed and counter ("Parallel Random Numbers: As Easy as 1, 2, 3", Salmon et al.,
        2011), so nothing is used up by asking. numpy keeps its numbers the same in all versions.
        """
        philox = np.random.Philox(key=self._seed, counter=[attempt, self._position, 0, 0])
        return float((philox.random_raw() >> 11) * 2.0**-53)

    def allowed(self, vocabulary: int) -> torch.Tensor | None:
        """Which tokens may come next, ``[vocabulary]`` on the CPU; None for all.

        Raises:
            SamplingError: the grammar failed.
        """
        forbidden = self._never + (self._not_yet if self._position < self.sampling.min_tokens else [])
        if self._grammar is None and not forbidden:
            return None
        allowed = np.ones(vocabulary, dtype=np.bool_) if self._grammar is None else self._grammar.allowed(vocabulary)
        allowed[[token for token in forbidden if token < vocabulary]] = False
        return torch.from_numpy(allowed)


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
    step = _Step(samplers)
    scores = Scores(logits)
    step.check(scores, NotNumbersError())
    told = [row for row in step.open if samplers[row].logprobs is not None]
    kept = [row for row in step.open if samplers[row].kept_scores]
    unchanged = logits[told]  # a copy
    tops = scores.top(kept, [samplers[row].kept_scores for row in kept]) if kept else []
    if step.adjust(logits):
        scores = Scores(logits)
        step.check(scores, SamplingError(NOTHING_ALLOWED))
    step.weigh(scores)
    step.pick_from_candidates(scores)
    step.pick_from_all(scores)
    if told:
        step.tell_logprobs(unchanged, told)
    if kept:
        step.tell_scores(logits, kept, tops)
    return [step.outcomes[row] for row in range(len(samplers))]


class _Step:
    """The next token for each of several sequences; a row is a sequence's place among them.

    Attributes:
        outcomes: what is known so far, by row.
    """

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        self.outcomes: dict[int, SampledToken | SamplingError] = {}
        self._samplers = samplers
        self._masses: dict[int, Floats] = {}  # of each block of the vocabulary
        self._totals: dict[int, float] = {}
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

    def adjust(self, logits: torch.Tensor) -> bool:
        """Apply biases and penalties, and rule out what may not come next; return whether anything was changed."""
        vocabulary = logits.shape[-1]
        occurrences: dict[int, Occurrences] = {}
        masks: dict[int, torch.Tensor] = {}
        for row in self.open:
            with self._failing_alone(row):
                sampler = self._samplers[row]
                if (allowed := sampler.allowed(vocabulary)) is not None:
                    masks[row] = allowed
                if sampler.occurrences is not None:
                    sampler.occurrences.check(vocabulary)
                    occurrences[row] = sampler.occurrences
        if occurrences:
            given = apply_occurrences(logits, list(occurrences), list(occurrences.values()))
            self._given = dict(zip(occurrences, given, strict=True))
        for row, allowed in masks.items():
            logits[row].masked_fill_(~allowed.to(logits.device), -torch.inf)
        return bool(occurrences or masks)

    def weigh(self, scores: Scores) -> None:
        """Weigh all tokens, for those who draw from all or from a part of the whole probability."""
        rows = [row for row in self.open if self._samplers[row].needs_masses]
        if rows:
            masses = scores.masses(rows, [self._samplers[row].sampling.temperature for row in rows])
            self._masses = dict(zip(rows, masses, strict=True))
            self._totals = {row: float(mass.sum()) for row, mass in self._masses.items()}

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
        rows = list(thresholds)
        for row, (ids, values) in zip(rows, scores.at_least(rows, list(thresholds.values())), strict=True):
            with self._failing_alone(row):
                sampling, total = self._samplers[row].sampling, self._totals.get(row)
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
        while rows := self.open:
            samplers = [self._samplers[row] for row in rows]
            drawn = scores.draw(
                rows,
                [self._masses[row] for row in rows],
                [sampler.sampling.temperature for sampler in samplers],
                [sampler.uniform(attempt) for sampler in samplers],
                [pivots.get(row) for row in rows],
            )
            for row, sampler, token in zip(rows, samplers, drawn, strict=True):
                if sampler.sampling.top_p < 1:
                    likelier = scores.masses_before(row, sampler.sampling.temperature, token)
                    if likelier.sum() >= sampler.sampling.top_p * self._totals[row]:
                        pivots[row], self._masses[row] = token, likelier
                        continue
                self.outcomes[row] = SampledToken(token[1])
            attempt += 1

    def tell_logprobs(self, logits: torch.Tensor, rows: Sequence[int]) -> None:
        """Add log probabilities to the tokens of some rows, whose logits these are, as the model gave them."""
        tokens = {row: outcome.token for row in rows if isinstance(outcome := self.outcomes[row], SampledToken)}
        places = [place for place, row in enumerate(rows) if row in tokens]
        counts = [self._samplers[row].logprobs or 0 for row in tokens]
        told = logprobs_of(logits[places], list(tokens.values()), counts)
        for (row, token), (logprob, top) in zip(tokens.items(), told, strict=True):
            self.outcomes[row] = SampledToken(token, logprob, top)

    def tell_scores(self, logits: torch.Tensor, rows: Sequence[int], tops: Sequence[Top]) -> None:
        """Add the scores that are kept to the tokens of some rows. ``tops`` are as the model gave them."""
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
    sampling = sampler.sampling
    largest = float(scores.largest[row])
    if sampler.greedy:
        return largest
    if sampling.top_k:
        return scores.threshold(row, sampling.top_k)
    if sampling.min_p:
        return largest + sampling.temperature * math.log(sampling.min_p) - ROUNDING * max(1.0, abs(largest))
    return scores.threshold(row, NUCLEUS_CANDIDATES) if sampling.top_p < 1 else None
