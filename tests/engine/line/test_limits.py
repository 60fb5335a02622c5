"""Nobody gets more than the settings allow, and nobody less."""

import pytest

from components.engine.errors import LimitError
from components.engine.interface import GenerationRequest
from components.engine.line.limits import DAY, Limits
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from tests.scripted_engine import ScriptedEngine

QUESTION: list[Message] = [{"role": "user", "content": "hi"}]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(limits: Limits, who: str, tokens: int = 0) -> None:
    limits.begin(who)
    limits.end(who, tokens)


def test_requests_a_minute_are_limited_for_each_by_itself(clock: Clock) -> None:
    limits = Limits(requests_per_minute=2, clock=clock)
    ask(limits, "anna")
    clock.now += 20
    ask(limits, "anna")
    with pytest.raises(LimitError, match="2 requests within a minute") as refused:
        limits.begin("anna")
    ask(limits, "bo")

    assert refused.value.retry_after == pytest.approx(40)
    clock.now += 41
    ask(limits, "anna")


def test_replies_at_once_are_limited(clock: Clock) -> None:
    limits = Limits(replies_at_once=2, clock=clock)
    limits.begin("anna")
    limits.begin("anna")
    with pytest.raises(LimitError, match="being written already"):
        limits.begin("anna")
    limits.end("anna", 10)

    limits.begin("anna")


def test_tokens_a_day_are_limited_until_enough_of_them_are_a_day_old(clock: Clock) -> None:
    limits = Limits(tokens_per_day=100, clock=clock)
    ask(limits, "anna", 60)
    clock.now += 3600
    ask(limits, "anna", 60)
    with pytest.raises(LimitError, match="tokens of a day") as refused:
        limits.begin("anna")

    assert refused.value.retry_after == pytest.approx(DAY - 3600)
    clock.now += refused.value.retry_after
    ask(limits, "anna", 1)


def test_those_who_are_long_gone_are_forgotten(clock: Clock) -> None:
    limits = Limits(requests_per_minute=1, clock=clock)
    for number in range(1500):
        ask(limits, str(number))
    clock.now += 61
    ask(limits, "last")

    assert len(limits._accounts) == 1


def test_an_engine_counts_what_its_replies_took() -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(tokens_per_day=4)
    request = GenerationRequest(QUESTION, SamplingParams(), visitor="anna", limited=True)
    list(engine.generate(request))
    with pytest.raises(LimitError):
        engine.generate(request)

    list(engine.generate(GenerationRequest(QUESTION, visitor="anna")))
    list(engine.generate(GenerationRequest(QUESTION, visitor="bo", limited=True)))


def test_a_refused_request_does_not_count_as_one_being_written() -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(replies_at_once=1)
    for _ in range(3):
        with pytest.raises(Exception, match="too long"):
            engine.generate(GenerationRequest([{"role": "user", "content": "x" * 50_000}], visitor="a", limited=True))

    list(engine.generate(GenerationRequest(QUESTION, visitor="a", limited=True)))
