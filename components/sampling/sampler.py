"""From logits to the next token of each sequence.

The filters are transformers' own, in its order: repetition penalty, temperature, top_k, top_p. The device finds the few
candidates; the rest is arithmetic on a handful of numbers, in float64 and for each sequence by itself, so a sequence
draws the same token whoever else is in the batch and whatever the device.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from components.sampling.grammar import Grammar
from components.sampling.parameters import SamplingParams

NUCLEUS_CANDIDATES = 1024
"""With top_p and no top_k, so many candidates are tried before all of the vocabulary is sorted."""

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Ids = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Choice:
    """The next token of a sequence.

    Attributes:
        token: its id.
        logprob: its natural log probability, before penalties and filters; None where nobody asked.
        top: the likeliest tokens and their log probabilities, the likeliest first.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class SamplingError(ValueError):
    """No token can be chosen."""


class Sampler:
    """How one sequence chooses its tokens."""

    def __init__(
        self,
        sampling: SamplingParams,
        prompt: Sequence[int],
        seed: int,
        device: torch.device,
        grammar: Grammar | None = None,
        logprobs: int | None = None,
    ) -> None:
        """``logprobs`` is how many of the likeliest tokens are told with each choice; None tells nothing."""
        self.sampling = sampling
        self.logprobs = logprobs
        self._random = random.Random(seed)
        self._grammar = grammar
        self._seen = SeenTokens(prompt, device) if sampling.repetition_penalty != 1 else None
        self._written: set[int] = set()
        self._taken_off: torch.Tensor | None = None  # [vocabulary], for the penalties that only count the reply

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.sampling.temperature == 0

    def note(self, token: int) -> None:
        """A token was written; the penalties count it from now on, and the grammar goes on behind it."""
        if self._seen is not None:
            self._seen.add(token)
        if self._taken_off is not None:
            first = token not in self._written
            self._written.add(token)
            with torch.inference_mode():  # where it was made
                self._taken_off[token] += self.sampling.frequency_penalty + first * self.sampling.presence_penalty
        if self._grammar is not None:
            self._grammar.note(token)

    @property
    def complete(self) -> bool:
        """Whether the grammar allows nothing more."""
        return self._grammar is not None and self._grammar.complete

    def prepare(self, logits: torch.Tensor) -> None:
        """Apply the penalties and the grammar to ``[vocabulary]`` logits, in place."""
        if self._seen is not None:
            penalize(logits, self._seen.ids, self.sampling.repetition_penalty)
        if self.sampling.presence_penalty or self.sampling.frequency_penalty:
            if self._taken_off is None:
                self._taken_off = torch.zeros_like(logits)
            logits -= self._taken_off
        if self._grammar is not None:
            self._grammar.forbid(logits)

    def draw(self, logits: Floats, ids: Ids, rest: float = 0.0) -> int:
        """Draw one of the candidates.

        Args:
            logits: the candidates' logits, the largest first if there is a top_p.
            ids: their token ids.
            rest: sum of ``exp(logit / temperature - largest)`` over the tokens that are not candidates.
        """
        weights = np.exp((logits - logits.max()) / self.sampling.temperature)
        total = weights.sum() + rest
        if self.sampling.top_p < 1:
            reached = np.cumsum(weights) / total
            kept = 1 + int(np.searchsorted(reached, self.sampling.top_p))
            weights = weights[:kept]
        cumulative = np.cumsum(weights)
        drawn = np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right")
        return int(ids[min(int(drawn), len(weights) - 1)])


class SeenTokens:
    """The different tokens of a sequence, on its device, as the repetition penalty wants them."""

    def __init__(self, tokens: Sequence[int], device: torch.device) -> None:
        self._known = set(tokens)
        self._ids = torch.tensor(sorted(self._known), dtype=torch.long, device=device)
        self._count = len(self._known)

    @property
    def ids(self) -> torch.Tensor:
        """``[n]``, each token once."""
        return self._ids[: self._count]

    def add(self, token: int) -> None:
        """Count one more token."""
        if token in self._known:
            return
        self._known.add(token)
        if self._count == len(self._ids):
            self._ids = torch.cat([self._ids, self._ids.new_empty(max(64, self._count))])
        self._ids[self._count] = token
        self._count += 1


def penalize(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> None:
    """Make seen tokens less likely, in place: positive logits are divided, negative ones multiplied.

    From "CTRL" (Keskar et al., 2019), as transformers' ``RepetitionPenaltyLogitsProcessor``.
    """
    scores = logits[seen]
    logits[seen] = torch.where(scores < 0, scores * penalty, scores / penalty)


@torch.inference_mode()
def choose(logits: torch.Tensor, samplers: Sequence[Sampler]) -> list[Choice]:
    """Choose the next token of each sequence.

    Args:
        logits: float32, ``[sequences, vocabulary]``; changed in place.
        samplers: one for each sequence. The chosen tokens are not noted yet.
    """
    told = {index: logits[index].log_softmax(dim=-1) for index, one in enumerate(samplers) if one.logprobs is not None}
    for row, sampler in zip(logits, samplers, strict=True):
        sampler.prepare(row)
    choices = [Choice(token) for token in _choose_tokens(logits, samplers)]
    for index, logprobs in told.items():
        token = choices[index].token
        values, ids = logprobs.topk(samplers[index].logprobs or 0)
        top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
        choices[index] = Choice(token, float(logprobs[token]), top)
    return choices


def _choose_tokens(logits: torch.Tensor, samplers: Sequence[Sampler]) -> list[int]:
    chosen = [-1] * len(samplers)
    greedy = [index for index, sampler in enumerate(samplers) if sampler.greedy]
    if greedy:
        for index, token in zip(greedy, logits[greedy].argmax(dim=-1).tolist(), strict=True):
            chosen[index] = token
    limited = [index for index, sampler in enumerate(samplers) if not sampler.greedy and sampler.sampling.top_k]
    if limited:
        most = min(max(samplers[index].sampling.top_k for index in limited), logits.shape[-1])
        for index, (values, ids) in zip(limited, _largest(logits[limited], most), strict=True):
            top_k = samplers[index].sampling.top_k
            chosen[index] = samplers[index].draw(values[:top_k], ids[:top_k])
    for index, sampler in enumerate(samplers):
        if chosen[index] < 0:
            chosen[index] = _draw_from_all(logits[index], sampler)
    return chosen


def _largest(logits: torch.Tensor, count: int) -> list[tuple[Floats, Ids]]:
    """The ``count`` largest logits of each row and their ids; equal ones in the order of their ids."""
    values, ids = logits.topk(count, dim=-1)
    rows = []
    for row_values, row_ids in zip(values.cpu().numpy().astype(np.float64), ids.cpu().numpy(), strict=True):
        order = np.lexsort((row_ids, -row_values))
        rows.append((row_values[order], row_ids[order]))
    return rows


def _draw_from_all(logits: torch.Tensor, sampler: Sampler) -> int:
    """Draw without top_k: from all of the vocabulary, or from the most likely part of it that reaches top_p."""
    everything = logits.cpu().numpy().astype(np.float64)
    if sampler.sampling.top_p == 1:
        return sampler.draw(everything, np.arange(len(everything)))
    values, ids = _largest(logits[None], min(NUCLEUS_CANDIDATES, len(logits)))[0]
    total = np.exp((everything - values[0]) / sampler.sampling.temperature).sum()
    mass = np.exp((values - values[0]) / sampler.sampling.temperature).sum()
    if mass < sampler.sampling.top_p * total:
        values, ids = _largest(logits[None], len(logits))[0]
        mass = total
    return sampler.draw(values, ids, rest=total - mass)
