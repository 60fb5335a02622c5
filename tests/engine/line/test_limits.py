"""Nobody gets more than the settings allow, and nobody less."""

from collections.abc import Iterator

import pytest

from components.engine.errors import EngineError, LimitError
from components.engine.interface import GenerationRequest
from components.engine.line.limits import AT_ONCE_RETRY_SECONDS, DAY, Limits, limits_of
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.conftest import Clock
from tests.scripted_engine import ScriptedEngine

QUESTION: list[Message] = [{"role": "user", "content": "hi"}]


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


def test_a_minute_moves_on_with_each_request(clock: Clock) -> None:
    limits = Limits(requests_per_minute=2, clock=clock)
    for wait in (0, 20, 40, 20, 40):  # each exactly a minute after the one before the last
        clock.now += wait
        ask(limits, "anna")
    with pytest.raises(LimitError, match=r"Try again in 20 s") as refused:
        limits.begin("anna")

    assert refused.value.retry_after == pytest.approx(20)
    clock.now += 20
    ask(limits, "anna")


def test_who_is_refused_does_not_wait_longer_for_having_asked(clock: Clock) -> None:
    limits = Limits(requests_per_minute=1, clock=clock)
    ask(limits, "anna")
    for _ in range(5):
        clock.now += 10
        with pytest.raises(LimitError):
            limits.begin("anna")
    clock.now += 10

    ask(limits, "anna")


def test_replies_at_once_are_limited(clock: Clock) -> None:
    limits = Limits(replies_at_once=2, clock=clock)
    limits.begin("anna")
    limits.begin("anna")
    with pytest.raises(LimitError, match="2 of your replies are being written already") as refused:
        limits.begin("anna")
    limits.begin("bo")
    limits.end("anna", 10)

    assert refused.value.retry_after == AT_ONCE_RETRY_SECONDS > 0
    limits.begin("anna")
    with pytest.raises(LimitError):
        limits.begin("anna")


@pytest.mark.parametrize("seconds", [61, DAY + 1])
def test_replies_that_take_long_are_not_forgotten(clock: Clock, seconds: float) -> None:
    limits = Limits(replies_at_once=2, clock=clock)
    limits.begin("anna")
    limits.begin("anna")
    clock.now += seconds
    with pytest.raises(LimitError):
        limits.begin("anna")
    limits.end("anna", 10)
    limits.end("anna", 10)

    limits.begin("anna")
    limits.begin("anna")
    with pytest.raises(LimitError):
        limits.begin("anna")


def test_tokens_a_day_are_limited_until_enough_of_them_are_a_day_old(clock: Clock) -> None:
    limits = Limits(tokens_per_day=100, clock=clock)
    ask(limits, "anna", 60)
    clock.now += 3600
    ask(limits, "anna", 60)
    with pytest.raises(LimitError, match="tokens of a day") as refused:
        limits.begin("anna")

    assert refused.value.retry_after == pytest.approx(DAY - 3600)
    assert str(refused.value) == "The 100 tokens of a day are used up. Try again in 1380 minutes."
    ask(limits, "bo")
    clock.now += refused.value.retry_after - 1
    with pytest.raises(LimitError):
        limits.begin("anna")
    clock.now += 1
    ask(limits, "anna", 1)


@pytest.mark.parametrize(
    ("spent", "until_begun"),
    [
        ([100], DAY),
        ([50, 50], DAY),
        ([10, 90, 90], DAY + 60),
        ([90, 10, 90], DAY + 60),
        ([99, 1, 0], DAY),
        ([40, 30, 90], DAY + 60),
    ],
)
def test_the_wait_ends_when_less_than_a_days_tokens_are_left(
    clock: Clock, spent: list[int], until_begun: float
) -> None:
    """What is spent, a minute apart; how long after the first of it a reply may begin again."""
    limits = Limits(tokens_per_day=100, clock=clock)
    began = clock.now
    for _ in spent:
        limits.begin("anna")  # all at once: what they will take is not known before
    for tokens in spent:
        limits.end("anna", tokens)
        clock.now += 60
    with pytest.raises(LimitError) as refused:
        limits.begin("anna")

    assert clock.now + refused.value.retry_after == pytest.approx(began + until_begun)
    clock.now += refused.value.retry_after
    limits.begin("anna")


def test_who_used_no_tokens_has_a_whole_day_left(clock: Clock) -> None:
    limits = Limits(tokens_per_day=1, clock=clock)
    ask(limits, "anna", 0)
    ask(limits, "anna", 1)
    with pytest.raises(LimitError):
        limits.begin("anna")


def test_those_who_are_long_gone_are_forgotten(clock: Clock) -> None:
    limits = Limits(requests_per_minute=1, clock=clock)
    for number in range(1001):
        ask(limits, str(number))
    clock.now += 61
    ask(limits, "last")

    assert len(limits._accounts) == 1


def test_who_is_still_served_or_has_spent_is_kept_while_others_are_forgotten(clock: Clock) -> None:
    limits = Limits(replies_at_once=1, tokens_per_day=10, clock=clock)
    limits.begin("served")
    ask(limits, "spent", 10)
    for number in range(1001):
        ask(limits, str(number))
    clock.now += 61
    ask(limits, "last")

    with pytest.raises(LimitError, match="being written"):
        limits.begin("served")
    with pytest.raises(LimitError, match="tokens of a day"):
        limits.begin("spent")


def test_no_limit_is_none(clock: Clock) -> None:
    limits = Limits(clock=clock)
    for _ in range(100):
        limits.begin("anna")
        limits.end("anna", 10**9)
        limits.begin("anna")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"requests_per_minute": 1, "replies_at_once": 0, "tokens_per_day": 0}, "1 requests within a minute"),
        ({"requests_per_minute": 0, "replies_at_once": 1, "tokens_per_day": 0}, "1 of your replies"),
        ({"requests_per_minute": 0, "replies_at_once": 0, "tokens_per_day": 1}, "The 1 tokens of a day"),
        ({"requests_per_minute": 0, "replies_at_once": 0, "tokens_per_day": 0}, None),
    ],
)
def test_each_setting_limits_what_it_names(settings: dict[str, int], words: str | None) -> None:
    limits = limits_of(Settings(**settings))  # type: ignore[arg-type]
    ask(limits, "anna", 1)
    limits.begin("bo")
    if words is None:
        limits.begin("anna")
        limits.begin("bo")
        return
    refusals = []
    for who in ("anna", "bo"):
        try:
            limits.begin(who)
        except LimitError as error:
            refusals.append(str(error))
    assert refusals
    assert all(words in refusal for refusal in refusals)


def test_an_engine_counts_what_its_replies_took() -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(tokens_per_day=4)
    request = GenerationRequest(QUESTION, SamplingParams(), visitor="anna", limited=True)
    list(engine.generate(request))
    with pytest.raises(LimitError):
        engine.generate(request)

    list(engine.generate(GenerationRequest(QUESTION, visitor="anna")))
    list(engine.generate(GenerationRequest(QUESTION, visitor="bo", limited=True)))


def test_a_prompt_counts_like_a_reply() -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(tokens_per_day=5)
    request = GenerationRequest(QUESTION, visitor="anna", limited=True)  # two tokens, and two of the reply
    list(engine.generate(request))
    list(engine.generate(request))
    with pytest.raises(LimitError):
        engine.generate(request)


def test_a_reply_that_failed_is_no_longer_being_written() -> None:
    def failing(_: GenerationRequest) -> Iterator[EngineError]:
        yield EngineError("broken")

    engine = ScriptedEngine(failing)
    engine.limits = Limits(replies_at_once=1)
    for _ in range(3):
        with pytest.raises(EngineError, match="broken"):
            list(engine.generate(GenerationRequest(QUESTION, visitor="anna", limited=True)))


def test_who_is_not_limited_takes_no_share() -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(requests_per_minute=1)
    for _ in range(3):
        list(engine.generate(GenerationRequest(QUESTION, visitor="anna")))
    list(engine.generate(GenerationRequest(QUESTION, visitor="anna", limited=True)))
    with pytest.raises(LimitError):
        engine.generate(GenerationRequest(QUESTION, visitor="anna", limited=True))


def test_a_refused_request_does_not_count_as_one_being_written() -> None:
    engine = ScriptedEngine()
    engine.limits = Limits(replies_at_once=1)
    for _ in range(3):
        with pytest.raises(Exception, match="too long"):
            engine.generate(GenerationRequest([{"role": "user", "content": "x" * 50_000}], visitor="a", limited=True))

    list(engine.generate(GenerationRequest(QUESTION, visitor="a", limited=True)))
