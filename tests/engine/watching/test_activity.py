"""What a watcher of the engine sees."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.engine.errors import EngineError, EngineNotReadyError, PromptError
from components.engine.events import Delta, Finished, FinishReason, Waiting
from components.engine.interface import GenerationRequest
from components.engine.watching.activity import Activity, Origin, Totals
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from tests.conftest import Clock
from tests.scripted_engine import ScriptedEngine

QUESTION: list[Message] = [{"role": "user", "content": "one two"}]
FINISHED = Finished(
    "stop", prompt_tokens=30, completion_tokens=6, seconds=4.0, time_to_first_token=1.0, reused_tokens=20
)


def value(activity: Activity, name: str, **labels: str) -> float:
    return activity.registry.get_sample_value(f"baichuan_{name}", labels) or 0.0


def nothing() -> None:
    pass


def follow_one(activity: Activity, clock: Clock) -> None:
    """A reply that waits, comes in three pieces of 1, 2 and 3 tokens after 1, 1.5 and 3 seconds, and ends after 4."""
    running = activity.begin("v1", "key:script", nothing, "request-1", QUESTION)
    activity.note(running, Waiting(2))
    for seconds, piece in ((1.0, Delta("床前")), (0.5, Delta("明月", count=2)), (1.5, Delta("光。", count=3))):
        clock.now += seconds
        activity.note(running, piece)
    clock.now += 1.0
    activity.note(running, FINISHED)


def test_a_reply_is_counted_once_it_has_ended() -> None:
    engine = ScriptedEngine()
    list(engine.generate(GenerationRequest(QUESTION, origin="page")))
    list(engine.generate(GenerationRequest(QUESTION, origin="v1")))
    activity = engine.activity

    assert value(activity, "requests_total", origin="page", outcome="stop") == 1
    assert value(activity, "requests_total", origin="v1", outcome="stop") == 1
    assert value(activity, "prompt_tokens_total") == 2 * len("one two")
    assert value(activity, "completion_tokens_total") == 4
    assert value(activity, "time_to_first_token_seconds_count") == 2
    assert value(activity, "time_between_tokens_seconds_count") == 2
    assert activity.running() == []


def test_every_figure_of_a_reply_is_its_own(clock: Clock) -> None:
    activity = Activity(clock)
    follow_one(activity, clock)

    assert activity.totals() == Totals(
        requests=1,
        errors=0,
        prompt_tokens=30,
        reused_tokens=20,
        completion_tokens=6,
        first_token_seconds=1.0,
        first_tokens=1,
        between_tokens_seconds=2.0,
        between_tokens=2,
    )


def test_the_figures_of_several_replies_add_up(clock: Clock) -> None:
    activity = Activity(clock)
    follow_one(activity, clock)
    follow_one(activity, clock)
    totals = activity.totals()

    assert (totals.prompt_tokens, totals.reused_tokens, totals.completion_tokens) == (60, 40, 12)
    assert (totals.first_token_seconds, totals.between_tokens_seconds) == (2.0, 4.0)
    assert value(activity, "requests_total", origin="v1", outcome="stop") == 2


def test_times_are_counted_in_buckets_that_prometheus_can_take_percentiles_of(clock: Clock) -> None:
    activity = Activity(clock)
    follow_one(activity, clock)

    assert value(activity, "time_to_first_token_seconds_bucket", le="0.5") == 0
    assert value(activity, "time_to_first_token_seconds_bucket", le="1.0") == 1
    assert value(activity, "time_between_tokens_seconds_bucket", le="0.2") == 0
    assert value(activity, "time_between_tokens_seconds_bucket", le="0.5") == 1
    assert value(activity, "time_between_tokens_seconds_bucket", le="2.0") == 2


@pytest.mark.parametrize(
    ("shown", "completion_tokens", "counted"),
    [(0, 5, 5), (3, 5, 5), (5, 5, 5), (7, 5, 7)],
    ids=["none gave text", "two gave no text", "all gave text", "more pieces than another server's tokens"],
)
def test_tokens_without_text_count_too(shown: int, completion_tokens: int, counted: int) -> None:
    activity = Activity()
    running = activity.begin("page", "", nothing)
    for _ in range(shown):
        activity.note(running, Delta("x"))
    activity.note(running, Finished("length", 1, completion_tokens, 1.0, None))

    assert activity.totals().completion_tokens == counted
    assert activity.totals().first_tokens == 0


REASONS: list[FinishReason] = ["stop", "length", "loop", "time", "cancelled"]


@pytest.mark.parametrize("reason", REASONS)
def test_however_a_reply_ends_by_a_reason_it_is_no_error(reason: FinishReason) -> None:
    activity = Activity()
    activity.note(activity.begin("tutorial", "", nothing), Finished(reason, 1, 0, 0.0, None))

    assert value(activity, "requests_total", origin="tutorial", outcome=reason) == 1
    assert (activity.totals().requests, activity.totals().errors) == (1, 0)


def test_what_is_running_is_listed_and_can_be_cancelled() -> None:
    def endless(_: GenerationRequest) -> Iterator[str]:
        while True:
            yield "word "

    engine = ScriptedEngine(endless)
    sampling = SamplingParams(max_new_tokens=32768)
    request = GenerationRequest(QUESTION, sampling, visitor="anna", origin="v1", request_id="mine")
    generation = engine.generate(request)
    generation.get()
    (running,) = engine.activity.running()
    running.cancel()
    list(generation)

    assert (running.visitor, running.origin, running.request_id) == ("anna", "v1", "mine")
    assert running.tokens > 0
    assert engine.activity.running() == []
    assert value(engine.activity, "requests_total", origin="v1", outcome="cancelled") == 1


def test_those_under_way_stand_in_their_order_and_leave_when_they_end() -> None:
    activity = Activity()
    first, second, third = (activity.begin("page", name, nothing) for name in ("anna", "bo", "cy"))
    activity.note(second, FINISHED)

    assert activity.running() == [first, third]
    assert len({first.number, second.number, third.number}) == 3


def test_one_under_way_tells_its_place_in_line_until_it_is_written_and_then_its_tokens(clock: Clock) -> None:
    activity = Activity(clock)
    running = activity.begin("page", "anna", nothing)
    seen: list[tuple[Waiting | None, int]] = [(running.waiting, running.tokens)]
    for event in (Waiting(2), Waiting(1), Delta("two tokens", count=2), Delta("and three", count=3)):
        activity.note(running, event)
        seen.append((running.waiting, running.tokens))

    assert running.began == 1000.0
    assert seen == [(None, 0), (Waiting(2), 0), (Waiting(1), 0), (None, 2), (None, 5)]


def test_errors_are_counted_by_their_kind() -> None:
    def failing(_: GenerationRequest) -> Iterator[EngineError]:
        yield EngineNotReadyError("broken")

    engine = ScriptedEngine(failing)
    with pytest.raises(EngineError):
        list(engine.generate(GenerationRequest(QUESTION, origin="page")))
    with pytest.raises(PromptError):
        engine.generate(GenerationRequest([{"role": "user", "content": "long" * 20_000}], origin="page"))

    assert value(engine.activity, "requests_total", origin="page", outcome="EngineNotReadyError") == 1
    assert value(engine.activity, "requests_total", origin="page", outcome="PromptError") == 1
    assert (engine.activity.totals().requests, engine.activity.totals().errors) == (2, 2)
    assert engine.activity.running() == []


def logged(lines: list[dict[str, Any]], follow: Callable[[], None]) -> dict[str, Any]:
    """The one line that ``follow`` leaves, without what no test can know."""
    follow()
    (line,) = lines
    assert line.pop("time")
    assert len(line.pop("reply")) == 12
    return line


USUAL_LINE = {
    "kind": "reply",
    "request_id": "request-1",
    "origin": "v1",
    "visitor": "key:script",
    "outcome": "stop",
    "seconds": 4.0,
    "prompt_tokens": 30,
    "reused_tokens": 20,
    "completion_tokens": 6,
    "first_token_seconds": 1.0,
}


def test_the_log_says_all_about_a_reply_but_not_what_was_said(
    clock: Clock, request_lines: list[dict[str, Any]]
) -> None:
    assert logged(request_lines, lambda: follow_one(Activity(clock), clock)) == USUAL_LINE


def test_the_log_holds_what_was_said_where_the_owner_wants_that(
    clock: Clock, request_lines: list[dict[str, Any]]
) -> None:
    activity = Activity(clock)
    activity.log_prompts = True

    said = {"asked": QUESTION, "answered": "床前明月光。"}
    assert logged(request_lines, lambda: follow_one(activity, clock)) == USUAL_LINE | said


@pytest.mark.parametrize(("log_prompts", "kept"), [(False, (None, "")), (True, (QUESTION, "a"))])
def test_what_is_said_is_kept_for_the_log_alone(log_prompts: bool, kept: tuple[object, str]) -> None:
    activity = Activity()
    activity.log_prompts = log_prompts
    running = activity.begin("page", "anna", nothing, asked=QUESTION)
    activity.note(running, Delta("a"))

    assert (running.asked, running.text) == kept


def test_the_log_names_the_error_that_ended_a_reply(clock: Clock, request_lines: list[dict[str, Any]]) -> None:
    activity = Activity(clock)
    origin: Origin = "tutorial"

    def fail() -> None:
        running = activity.begin(origin, "visitor:anna", nothing, "request-2")
        clock.now += 0.25
        activity.note(running, PromptError("what is wrong is not for the log: it may quote the prompt"))

    assert logged(request_lines, fail) == {
        "kind": "reply",
        "request_id": "request-2",
        "origin": "tutorial",
        "visitor": "visitor:anna",
        "outcome": "PromptError",
        "seconds": 0.25,
    }
