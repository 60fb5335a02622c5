"""What a watcher of the engine sees."""

from collections.abc import Iterator

import pytest

from components.engine.errors import EngineError, PromptError
from components.engine.interface import GenerationRequest
from components.engine.watching.activity import Activity
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from tests.scripted_engine import ScriptedEngine

QUESTION: list[Message] = [{"role": "user", "content": "one two"}]


def value(activity: Activity, name: str, **labels: str) -> float:
    return activity.registry.get_sample_value(f"baichuan_{name}", labels) or 0.0


def test_a_reply_is_counted_once_it_has_ended() -> None:
    engine = ScriptedEngine()
    list(engine.generate(GenerationRequest(QUESTION, origin="page")))
    list(engine.generate(GenerationRequest(QUESTION, origin="v1")))
    activity = engine.activity

    assert value(activity, "requests_total", origin="page", outcome="stop") == 1
    assert value(activity, "prompt_tokens_total") == 2 * len("one two")
    assert value(activity, "completion_tokens_total") == 4
    assert value(activity, "time_to_first_token_seconds_count") == 2
    assert value(activity, "time_between_tokens_seconds_count") == 2
    assert activity.running() == []


def test_what_is_running_is_listed_and_can_be_cancelled() -> None:
    def endless(_: GenerationRequest) -> Iterator[str]:
        while True:
            yield "word "

    engine = ScriptedEngine(endless)
    sampling = SamplingParams(max_new_tokens=32768)
    generation = engine.generate(GenerationRequest(QUESTION, sampling, visitor="anna", origin="v1"))
    generation.get()
    (running,) = engine.activity.running()
    running.cancel()
    list(generation)

    assert (running.visitor, running.origin) == ("anna", "v1")
    assert running.tokens > 0
    assert engine.activity.running() == []
    assert value(engine.activity, "requests_total", origin="v1", outcome="cancelled") == 1


def test_errors_are_counted_by_their_kind() -> None:
    def failing(_: GenerationRequest) -> Iterator[EngineError]:
        yield EngineError("broken")

    engine = ScriptedEngine(failing)
    with pytest.raises(EngineError):
        list(engine.generate(GenerationRequest(QUESTION, origin="page")))
    with pytest.raises(PromptError):
        engine.generate(GenerationRequest([{"role": "user", "content": "long" * 20_000}], origin="page"))

    assert value(engine.activity, "requests_total", origin="page", outcome="EngineError") == 1
    assert value(engine.activity, "requests_total", origin="page", outcome="PromptError") == 1
    assert engine.activity.running() == []
