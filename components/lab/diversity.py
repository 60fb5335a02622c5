"""How varied samples of the same question are. By numpy; what is counted are words, in Chinese characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from components.lab.pieces import words_of

REPEATED_WORDS = 4
"""So many words in a row make a repetition."""

Words = NDArray[np.int64]
"""A text as numbers of its words, ``[n]``."""


@dataclass(frozen=True)
class Diversity:
    """Figures of several samples; None where they say nothing.

    Attributes:
        distinct_1: different words over all words of all samples, between 0 and 1: distinct-1 of Li et al. 2016
            (arXiv 1510.03055). Higher is more varied.
        distinct_2: the same for pairs of words.
        overlap: ROUGE-L's F1 (Lin 2004) between two samples, on the average of all pairs, between 0 and 1. Lower is
            more varied. None of a single sample.
        logprob: the mean log probability of a token by the model, before any filter, in nats. None where the engine
            tells none.
        length: tokens of a sample, on the average.
        repetition: the part of four words in a row that a sample had before, on the average of the samples, between 0
            and 1: seq-rep-4 of Welleck et al. 2020 (arXiv 1908.04319).
    """

    distinct_1: float | None
    distinct_2: float | None
    overlap: float | None
    logprob: float | None
    length: float
    repetition: float | None


@dataclass(frozen=True)
class Scored:
    """A sample: its text, how many tokens it has, and the sum of the log probabilities of ``scored`` of them."""

    text: str
    tokens: int
    logprob: float = 0.0
    scored: int = 0


def diversity(samples: Sequence[Scored]) -> Diversity:
    """The figures of at least one sample."""
    texts = numbered([words_of(sample.text) for sample in samples])
    repetitions = [repetition for text in texts if (repetition := repeated(text, REPEATED_WORDS)) is not None]
    overlaps = [rouge_l(one, other) for one, other in combinations(texts, 2)]
    scored = sum(sample.scored for sample in samples)
    return Diversity(
        distinct_1=distinct(texts, 1),
        distinct_2=distinct(texts, 2),
        overlap=fmean(overlaps) if overlaps else None,
        logprob=sum(sample.logprob for sample in samples) / scored if scored else None,
        length=fmean(sample.tokens for sample in samples),
        repetition=fmean(repetitions) if repetitions else None,
    )


def numbered(texts: Sequence[Sequence[str]]) -> list[Words]:
    """Texts with a number for each different word."""
    numbers: dict[str, int] = {}
    return [np.array([numbers.setdefault(word, len(numbers)) for word in text], np.int64) for text in texts]


def distinct(texts: Sequence[Words], n: int) -> float | None:
    """Different runs of ``n`` words over all of them, in all texts together; None where there is none."""
    runs = np.concatenate([_runs(text, n) for text in texts])
    return len(np.unique(runs, axis=0)) / len(runs) if len(runs) else None


def repeated(text: Words, n: int) -> float | None:
    """The part of the runs of ``n`` words that stand earlier in the same text; None where there is none."""
    part = distinct([text], n)
    return None if part is None else 1 - part


def rouge_l(one: Words, other: Words) -> float:
    """F1 of the longest common subsequence; 1 for two empty texts."""
    if not len(one) and not len(other):
        return 1.0
    return 2 * _common(one, other) / (len(one) + len(other))


def _common(one: Words, other: Words) -> int:
    """The length of the longest common subsequence, row by row of the usual table."""
    best = np.zeros(len(other) + 1, np.int64)
    for word in one:
        longer = np.maximum(best[1:], best[:-1] + (other == word))
        best[1:] = np.maximum.accumulate(longer)
    return int(best[-1])


def _runs(text: Words, n: int) -> NDArray[np.int64]:
    """All runs of ``n`` words, ``[runs, n]``."""
    if len(text) < n:
        return np.empty((0, n), np.int64)
    return np.lib.stride_tricks.sliding_window_view(text, n)
