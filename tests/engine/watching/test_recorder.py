"""The plots of the operations page show what happened between two samples."""

from dataclasses import replace

import pytest

from components.engine.interface import GenerationRequest
from components.engine.watching.recorder import interval, take_sample
from tests.scripted_engine import ScriptedEngine


def test_rates_are_per_second_and_means_per_reply() -> None:
    engine = ScriptedEngine()
    before = replace(take_sample(engine), time=100.0)
    for _ in range(3):
        list(engine.generate(GenerationRequest([{"role": "user", "content": "four"}])))
    after = replace(take_sample(engine), time=102.0)
    between = interval(before, after)

    assert between.requests == pytest.approx(1.5)
    assert between.errors == 0
    assert between.tokens_in == pytest.approx(6.0)
    assert between.tokens_out == pytest.approx(3.0)
    assert between.reused == 0
    assert between.first_token is not None
    assert 0 <= between.first_token < 10
    assert after.memory_bytes > 1e7


def test_where_nothing_happened_there_are_no_means() -> None:
    engine = ScriptedEngine()
    sample = take_sample(engine)
    between = interval(sample, replace(sample, time=sample.time + 2))

    assert (between.first_token, between.between_tokens, between.reused) == (None, None, None)
