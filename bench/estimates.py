"""More readers than places: how far off is what those who wait are told at first?"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import fmean, median

from bench.loading import load_engine
from bench.process import in_ended_thread, spawn
from bench.questions import LONG, SHORT, question
from bench.targets import SAMPLING
from components.checkpoints.locate import Checkpoint
from components.engine.events import Delta, Waiting
from components.engine.interface import Engine, GenerationRequest
from components.settings import Settings

LIMITS = (32, 64, 96, 160)
"""The longest reply of one reader and the next: lengths that the engine knows beforehand."""

SAME_LIMIT = 256
"""The longest reply of everybody, which only some reach: lengths that the engine can only guess."""

KNOWN, UNKNOWN = "known lengths", "unknown lengths"


@dataclass(frozen=True)
class Wait:
    """What a reader was told at first, and what it became: seconds from then to the first text."""

    kind: str
    round: int
    ahead: int
    told: float
    became: float


@dataclass(frozen=True)
class WaitSummary:
    """Errors of all readers' waits; ``bias`` is the mean of told minus became, above 0 when they waited less."""

    waits: int
    became_median: float
    absolute_error: float
    relative_error: float
    bias: float


def summarize(waits: Sequence[Wait]) -> WaitSummary:
    """Medians, and the bias."""
    return WaitSummary(
        waits=len(waits),
        became_median=median(wait.became for wait in waits),
        absolute_error=median(abs(wait.told - wait.became) for wait in waits),
        relative_error=median(abs(wait.told - wait.became) / wait.became for wait in waits),
        bias=fmean(wait.told - wait.became for wait in waits),
    )


def measure_waits(settings: Settings, checkpoint: Checkpoint, users: int, rounds: int) -> list[Wait]:
    """Load an engine in a process of its own and ask it. ``settings`` leave few places."""
    with spawn() as process:
        return process.submit(_load_and_measure, settings, checkpoint, users, rounds).result()


def _load_and_measure(settings: Settings, checkpoint: Checkpoint, users: int, rounds: int) -> list[Wait]:
    engine = in_ended_thread(lambda: load_engine(settings, checkpoint))
    try:
        return list(waits_of(engine, users, rounds))
    finally:
        engine.close()


def waits_of(engine: Engine, users: int, rounds: int) -> Iterator[Wait]:
    """All ask at once, of an engine that has served a single reader last."""
    for number in range(rounds):
        for kind in (KNOWN, UNKNOWN):
            _ask(engine, kind, number, reader=users)
            with ThreadPoolExecutor(users) as pool:
                asked = [pool.submit(_ask, engine, kind, number, reader) for reader in range(users)]
                yield from (wait for one in asked if (wait := one.result()) is not None)


def _ask(engine: Engine, kind: str, number: int, reader: int) -> Wait | None:
    """One reader; None when there was no waiting, or nobody knew how long."""
    questions = LONG if kind == KNOWN or reader % 2 else SHORT
    limit = LIMITS[reader % len(LIMITS)] if kind == KNOWN else SAME_LIMIT
    request = GenerationRequest(
        question(reader, f"{kind} {number}", questions),
        SAMPLING.model_copy(update={"max_new_tokens": limit}),
        visitor=f"reader {reader}",
    )
    told: tuple[float, int, float] | None = None
    began = None
    with engine.generate(request) as generation:
        for event in generation:
            match event:
                case Waiting(ahead, float(seconds)) if told is None:
                    told = time.perf_counter(), ahead, seconds
                case Delta() if began is None:
                    began = time.perf_counter()
    if told is None or began is None:
        return None
    at, ahead, seconds = told
    return Wait(kind, number, ahead, seconds, began - at)
