"""What a step takes more when scores are kept: every other step of the same replies keeps them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter
from typing import Any

from bench.questions import question
from bench.targets import SAMPLING
from components.engine.interface import GenerationRequest
from components.engine.local.engine import LocalEngine

KEPT = 50
"""Scores of each step, as the application keeps them."""

LEFT_OUT = 8
"""Steps at the beginning that do not count: not all replies are written yet."""


def step_with_scores(readers: int) -> str:
    """What a pair with so many readers is called."""
    return f"ms of a step of {'one reader' if readers == 1 else f'{readers} readers'}, without scores kept and with"


def steps_without_and_with(engine: LocalEngine, readers: int, tokens: int, occasion: str) -> tuple[float, float]:
    """Median milliseconds of a step in which nobody's scores are kept, and of one in which everybody's are.

    The steps take turns, so a machine that slows down slows both.
    """
    worker: Any = engine._worker
    step = worker._decode_step
    taken: tuple[list[float], list[float]] = ([], [])

    def timed(ready: Sequence[Any]) -> Any:
        kind = len(taken[0]) > len(taken[1])
        for sequence in ready:
            sequence.sampler.kept_scores = KEPT if kind else 0
        began = perf_counter()
        chosen = step(ready)
        if len(ready) == readers:
            taken[kind].append(1000 * (perf_counter() - began))
        return chosen

    worker._decode_step = timed
    sampling = SAMPLING.model_copy(update={"max_new_tokens": tokens, "ignore_eos": True})
    try:
        asked = [
            GenerationRequest(question(reader, occasion), sampling, f"reader {reader}", kept_scores=KEPT)
            for reader in range(readers)
        ]
        with ThreadPoolExecutor(readers) as pool:
            list(pool.map(lambda generation: list(generation)[-1], [engine.generate(one) for one in asked]))
    finally:
        del worker._decode_step
    without, with_scores = (median(kind[LEFT_OUT // 2 :]) for kind in taken)
    return without, with_scores
