"""The last half hour of an engine, sampled every few seconds, for the plots of the operations page."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from components.engine.interface import Engine, Load
from components.engine.watching.activity import Totals
from components.engine.watching.metrics import device_memory_bytes

logger = logging.getLogger(__name__)

SECONDS = 2.0
"""Between two samples."""

SAMPLES = 900
"""So many are kept: half an hour."""


@dataclass(frozen=True)
class Sample:
    """An engine at one moment. ``time`` is in seconds since the epoch."""

    time: float
    load: Load
    totals: Totals
    memory_bytes: int
    device_memory_bytes: int | None


@dataclass(frozen=True)
class Interval:
    """What happened between two samples: rates per second, means in seconds (None where nothing happened).

    ``reused`` is the part of the prompts' tokens that the prefix cache knew.
    """

    time: float
    requests: float
    errors: float
    tokens_in: float
    tokens_out: float
    first_token: float | None
    between_tokens: float | None
    reused: float | None


def take_sample(engine: Engine) -> Sample:
    """The engine now."""
    memory = psutil.Process().memory_info().rss
    return Sample(time.time(), engine.load(), engine.activity.totals(), memory, device_memory_bytes())


def interval(before: Sample, after: Sample) -> Interval:
    """What happened between two samples."""
    seconds = max(after.time - before.time, 1e-3)

    def grown(name: str) -> float:
        return float(getattr(after.totals, name) - getattr(before.totals, name))

    def ratio(part: str, whole: str) -> float | None:
        return grown(part) / grown(whole) if grown(whole) else None

    return Interval(
        time=after.time,
        requests=grown("requests") / seconds,
        errors=grown("errors") / seconds,
        tokens_in=grown("prompt_tokens") / seconds,
        tokens_out=grown("completion_tokens") / seconds,
        first_token=ratio("first_token_seconds", "first_tokens"),
        between_tokens=ratio("between_tokens_seconds", "between_tokens"),
        reused=ratio("reused_tokens", "prompt_tokens"),
    )


class Recorder:
    """Samples an engine in a thread of its own, as long as the process lives."""

    def __init__(self, engine: Engine, pause: Callable[[float], object] = time.sleep) -> None:
        """``pause`` waits for so many seconds between two samples."""
        self._engine = engine
        self._pause = pause
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        threading.Thread(target=self._run, name="recorder", daemon=True).start()

    @property
    def samples(self) -> list[Sample]:
        """What was sampled, the oldest first."""
        return list(self._samples)

    def _run(self) -> None:
        while True:
            try:
                self._samples.append(take_sample(self._engine))
            except Exception:  # the thread's edge: a device that fails now may answer later, and the page says more
                logger.exception("The engine's figures could not be read")
            self._pause(SECONDS)
