"""How long those who wait still have to wait, from what was measured."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WEIGHT = 0.2
"""Of the newest measurement in a running mean: the last ten or so count."""


@dataclass(frozen=True)
class Remaining:
    """A reply to be written, or what is left of one.

    ``written`` tokens of at most ``longest`` are there; ``prompt`` tokens are still to be read.
    """

    written: int
    longest: int
    prompt: int = 0


class Estimates:
    """Running means of the engine's speed and of the replies' lengths."""

    def __init__(self) -> None:
        self._step_seconds: dict[int, float] = {}  # by how many sequences there were
        self._reply_tokens: float | None = None
        self._prefill_seconds_per_token = 0.0

    def note_step(self, seconds: float, sequences: int) -> None:
        """One token was decoded for each of so many sequences."""
        self._step_seconds[sequences] = _mean(self._step_seconds.get(sequences), seconds)

    def note_prefill(self, tokens: int, seconds: float) -> None:
        """Part of a prompt was read."""
        self._prefill_seconds_per_token = _mean(self._prefill_seconds_per_token or None, seconds / tokens)

    def note_reply(self, tokens: int) -> None:
        """A reply ended by itself."""
        self._reply_tokens = _mean(self._reply_tokens, tokens)

    def seconds_until(self, active: Sequence[Remaining], waiting: Iterable[Remaining]) -> list[float | None]:
        """When each of those who wait begins, in seconds from now; None while nothing was measured yet.

        Each takes the place of the one that ends first.
        """
        if not self._step_seconds:
            return [None for _ in waiting]
        # As long as somebody waits, as many are served as now. A step for many takes longer than one for few.
        nearest = min(self._step_seconds, key=lambda sequences: abs(sequences - len(active)))
        step = self._step_seconds[nearest]
        ends = [0.0] if not active else [self._seconds(work, step) for work in active]
        heapq.heapify(ends)
        begins: list[float | None] = []
        for work in waiting:
            begin = heapq.heappop(ends)
            begins.append(begin)
            heapq.heappush(ends, begin + self._seconds(work, step))
        return begins

    def _seconds(self, work: Remaining, step: float) -> float:
        expected = work.longest if self._reply_tokens is None else min(work.longest, self._reply_tokens)
        left = max(1.0, expected - work.written)
        return left * step + work.prompt * self._prefill_seconds_per_token


def _mean(mean: float | None, value: float) -> float:
    return value if mean is None else (1 - WEIGHT) * mean + WEIGHT * value
