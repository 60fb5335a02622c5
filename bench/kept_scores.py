"""What a step takes more when scores are kept: every other step of the same replies keeps them."""

from collections.abc import Sequence as ListOf
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

from bench.questions import question
from bench.targets import SAMPLING
from components.engine.interface import GenerationRequest
from components.engine.local.computing import Choice
from components.engine.local.engine import LocalEngine
from components.engine.local.sequence import Sequence

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
    computer = engine._worker._computer
    step = computer.decode
    taken: tuple[list[float], list[float]] = ([], [])

    def timed(ready: ListOf[Sequence]) -> ListOf[Choice]:
        kind = len(taken[0]) > len(taken[1])
        for sequence in ready:
            assert sequence.sampler is not None
            sequence.sampler.kept_scores = KEPT if kind else 0
        began = perf_counter()
        chosen = step(ready)
        if len(ready) == readers:
            taken[kind].append(1000 * (perf_counter() - began))
        return chosen

    computer.decode = timed  # type: ignore[method-assign]
    sampling = SAMPLING.model_copy(update={"max_new_tokens": tokens, "ignore_eos": True})
    try:
        asked = [
            GenerationRequest(question(reader, occasion), sampling, f"reader {reader}", kept_scores=KEPT)
            for reader in range(readers)
        ]
        with ThreadPoolExecutor(readers) as pool:
            list(pool.map(lambda generation: list(generation)[-1], [engine.generate(one) for one in asked]))
    finally:
        del computer.decode
    without, with_scores = (median(kind[LEFT_OUT // 2 :]) for kind in taken)
    return without, with_scores
