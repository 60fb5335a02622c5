"""The engine in this process, with the tiny Baichuan checkpoint."""

import threading
from collections.abc import Iterable

import pytest

from components.engine.errors import EngineError, PromptError, QueueFullError
from components.engine.interface import Delta, Event, Finished, Generation, GenerationRequest, Waiting
from components.engine.local import LocalEngine
from components.engine.sampling import SamplingParams
from components.model.chat_format import Message
from tests.tiny import CHATS

GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=24)
ENDLESS = SamplingParams(temperature=0.0, max_new_tokens=200)
QUESTION: list[Message] = [{"role": "user", "content": "你是谁"}]


def text_of(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def finished(generation: Generation) -> Finished:
    *_, last = generation
    assert isinstance(last, Finished)
    return last


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_greedy_text_equals_the_reference(engine: LocalEngine, index: int) -> None:
    sampling = GREEDY.model_copy(update={"max_new_tokens": 24})

    events = list(engine.generate(GenerationRequest(CHATS[index]["messages"], sampling)))
    assert text_of(events) == CHATS[index]["greedy_text"]


def test_the_last_event_counts_tokens_and_time(engine: LocalEngine) -> None:
    last = finished(engine.generate(GenerationRequest(QUESTION, GREEDY)))

    assert (last.reason, last.prompt_tokens, last.completion_tokens) == ("length", 3, 24)
    assert last.time_to_first_token is not None
    assert 0 < last.time_to_first_token < last.seconds
    assert last.tokens_per_second is not None
    assert last.tokens_per_second > 0


def test_the_same_seed_gives_the_same_text(engine: LocalEngine) -> None:
    def write(seed: int | None) -> str:
        sampling = SamplingParams(temperature=1.5, top_k=0, top_p=1.0, max_new_tokens=20, seed=seed)
        return text_of(engine.generate(GenerationRequest(QUESTION, sampling)))

    assert write(1) == write(1)
    assert write(1) != write(2)
    assert write(None) != write(None)


def test_cancelling_keeps_what_was_written_and_frees_the_model(engine: LocalEngine) -> None:
    generation = engine.generate(GenerationRequest(QUESTION, ENDLESS))
    first = generation.get()
    generation.cancel()
    last = finished(generation)

    assert isinstance(first, Delta)
    assert last.reason == "cancelled"
    assert 0 < last.completion_tokens < ENDLESS.max_new_tokens
    assert finished(engine.generate(GenerationRequest(QUESTION, GREEDY))).reason == "length"


def test_leaving_the_with_block_cancels(engine: LocalEngine) -> None:
    with engine.generate(GenerationRequest(QUESTION, ENDLESS)) as generation:
        generation.get()

    assert finished(generation).reason == "cancelled"


def test_those_who_wait_are_told_how_many_are_before_them(engine: LocalEngine) -> None:
    first, second, third = (engine.generate(GenerationRequest(QUESTION, GREEDY)) for _ in range(3))

    assert [event.ahead for event in third if isinstance(event, Waiting)] == [2, 1, 0]
    assert [event.ahead for event in second if isinstance(event, Waiting)] == [1, 0]
    assert [event for event in first if isinstance(event, Waiting)] == []


def test_a_full_queue_refuses_one_more_and_serves_the_rest(engine: LocalEngine) -> None:
    accepted = [engine.generate(GenerationRequest(QUESTION, ENDLESS)) for _ in range(5)]
    with pytest.raises(QueueFullError, match="4 replies are waiting"):
        engine.generate(GenerationRequest(QUESTION, ENDLESS))
    for generation in accepted:
        generation.cancel()

    assert {finished(generation).reason for generation in accepted} == {"cancelled"}


def test_a_reply_that_fails_harms_no_other(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = engine._model.forward
    monkeypatch.setattr(engine._model, "forward", lambda *_, **__: 1 / 0)
    with pytest.raises(EngineError, match="try again"):
        list(engine.generate(GenerationRequest(QUESTION, GREEDY)))
    monkeypatch.setattr(engine._model, "forward", forward)

    assert finished(engine.generate(GenerationRequest(QUESTION, GREEDY))).reason == "length"


def test_a_message_that_does_not_fit_is_refused_before_it_waits(engine: LocalEngine) -> None:
    with pytest.raises(PromptError, match="too long"):
        engine.generate(GenerationRequest([{"role": "user", "content": "词" * 500}], GREEDY))


def test_a_reply_longer_than_the_context_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(PromptError, match="leaves no room"):
        engine.build_prompt(QUESTION, max_new_tokens=256)


def test_a_reply_ends_where_the_context_does(engine: LocalEngine) -> None:
    sampling = GREEDY.model_copy(update={"max_new_tokens": 253})
    last = finished(engine.generate(GenerationRequest(QUESTION, sampling)))

    assert last.reason == "length"
    assert last.prompt_tokens + last.completion_tokens == engine.info.context_length


def test_defaults_are_the_checkpoints(engine: LocalEngine) -> None:
    assert engine.info.defaults == SamplingParams(
        temperature=0.3, top_p=0.85, top_k=5, repetition_penalty=1.05, max_new_tokens=64
    )


def test_many_at_once_each_get_their_own_reply(engine: LocalEngine) -> None:
    texts: dict[int, str] = {}

    def ask(index: int) -> None:
        texts[index] = text_of(engine.generate(GenerationRequest(CHATS[index]["messages"], GREEDY)))

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert texts == {index: CHATS[index]["greedy_text"] for index in range(4)}


def test_closing_ends_what_is_being_written(engine: LocalEngine) -> None:
    generation = engine.generate(GenerationRequest(QUESTION, ENDLESS))
    engine.close()

    assert finished(generation).reason == "cancelled"
    with pytest.raises(EngineError, match="shut down"):
        engine.generate(GenerationRequest(QUESTION, GREEDY))
