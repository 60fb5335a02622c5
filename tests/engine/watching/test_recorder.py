"""The plots of the operations page show what happened between two samples."""

import queue
import threading
from dataclasses import fields, replace
from types import SimpleNamespace

import psutil
import pytest

from components.engine.interface import GenerationRequest, Load
from components.engine.watching.activity import Totals
from components.engine.watching.recorder import SAMPLES, SECONDS, Interval, Recorder, Sample, interval, take_sample
from tests.scripted_engine import ScriptedEngine

NOTHING = Totals(*[0.0 for _ in fields(Totals)])
BUSY = Load(active=3, waiting=2, used_tokens=500, idle_tokens=70, capacity_tokens=4096)


def sample(time: float, totals: Totals = NOTHING) -> Sample:
    return Sample(time, BUSY, totals, 10**9, None)


def test_rates_are_per_second_and_means_per_reply() -> None:
    before = Totals(100, 50, 1000, 300, 700, 90.0, 80, 70.0, 600)
    after = Totals(
        requests=108,
        errors=52,
        prompt_tokens=1400,
        reused_tokens=400,
        completion_tokens=720,
        first_token_seconds=93.0,
        first_tokens=86,
        between_tokens_seconds=70.5,
        between_tokens=620,
    )

    assert interval(sample(100.0, before), sample(104.0, after)) == Interval(
        time=104.0,
        requests=2.0,
        errors=0.5,
        tokens_in=100.0,
        tokens_out=5.0,
        first_token=0.5,
        between_tokens=0.025,
        reused=0.25,
    )


def test_where_nothing_happened_there_are_no_means() -> None:
    between = interval(sample(100.0), sample(102.0))

    assert between == Interval(102.0, 0.0, 0.0, 0.0, 0.0, None, None, None)


def test_two_samples_of_one_moment_do_no_harm() -> None:
    assert interval(sample(100.0), sample(100.0)).requests == 0.0


def test_a_sample_is_the_engine_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.engine.watching.recorder.time", SimpleNamespace(time=lambda: 1_700_000_000.0))
    monkeypatch.setattr("components.engine.watching.recorder.device_memory_bytes", lambda: 19_000)
    engine = ScriptedEngine()
    engine.busy = BUSY
    list(engine.generate(GenerationRequest([{"role": "user", "content": "four"}])))
    taken = take_sample(engine)

    assert taken.time == 1_700_000_000.0
    assert taken.load == BUSY
    assert taken.totals == engine.activity.totals()
    assert (taken.totals.requests, taken.totals.prompt_tokens, taken.totals.completion_tokens) == (1, 4, 2)
    assert taken.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.5)
    assert taken.device_memory_bytes == 19_000


class Steps:
    """Stands in for waiting: the recorder goes on when the test says so."""

    def __init__(self) -> None:
        self.pauses: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.go_on = threading.Semaphore(0)

    def __call__(self, seconds: float) -> None:
        self.pauses.put(seconds)
        self.go_on.acquire()


def test_the_newest_half_hour_is_kept_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    number, engine = 0, ScriptedEngine()

    def numbered(sampled: ScriptedEngine) -> Sample:
        nonlocal number
        number += sampled is engine  # a recorder that another test left running counts for nothing
        return replace(sample(0.0), time=float(number))

    monkeypatch.setattr("components.engine.watching.recorder.take_sample", numbered)
    steps = Steps()
    recorder = Recorder(engine, steps)
    assert steps.pauses.get(timeout=600) == SECONDS
    assert [one.time for one in recorder.samples] == [1.0]
    for _ in range(SAMPLES + 9):
        steps.go_on.release()
        steps.pauses.get(timeout=600)

    assert SAMPLES * SECONDS == 30 * 60
    assert [one.time for one in recorder.samples] == [float(time) for time in range(11, SAMPLES + 11)]
