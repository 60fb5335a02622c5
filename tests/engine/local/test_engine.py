"""The engine in this process, with the tiny Baichuan checkpoint."""

import json
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from components.engine.errors import ContextFullError, EngineError, PromptError, QueueFullError
from components.engine.events import Delta, Event, Finished, FinishReason, Waiting
from components.engine.interface import Generation, GenerationRequest
from components.engine.local.block_pool import BLOCK, blocks_for
from components.engine.local.engine import LocalEngine
from components.engine.local.sequence import Sequence as Reply
from components.engine.receipts import Receipt
from components.engine.replay import replay
from components.model.chat_format import Message
from components.sampling.choosing import SampledToken
from components.sampling.parameters import SamplingParams
from tests.engine.conftest import EngineFactory
from tests.engine.local.conftest import Hold
from tests.tiny import CHATS, TINY_PATH

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


def test_a_reply_ends_at_the_tokens_that_were_asked_for_and_no_sooner(engine: LocalEngine) -> None:
    def ended(**changes: object) -> tuple[str, int]:
        last = finished(engine.generate(GenerationRequest(QUESTION, GREEDY.model_copy(update=changes))))
        return last.reason, last.completion_tokens

    receipt = finished(engine.generate(GenerationRequest(QUESTION, GREEDY))).receipt
    assert receipt is not None
    end = receipt.tokens[4]
    place = receipt.tokens.index(end)

    assert ended(stop_token_ids=(end,)) == ("stop", place)
    assert ended(stop_token_ids=(end,), ignore_eos=True) == ("stop", place), "only the model's own are ignored"
    assert ended(stop_token_ids=(end,), min_tokens=place + 1)[1] > place


def test_the_models_own_end_tokens_can_be_ignored_or_put_off(engine: LocalEngine) -> None:
    likely_end = {"logit_bias": {2: 100.0}}

    def ended(**changes: object) -> tuple[str, int]:
        sampling = GREEDY.model_copy(update=likely_end | changes)
        last = finished(engine.generate(GenerationRequest(QUESTION, sampling)))
        return last.reason, last.completion_tokens

    assert ended() == ("stop", 0)
    assert ended(min_tokens=7) == ("stop", 7)
    assert ended(ignore_eos=True) == ("length", GREEDY.max_new_tokens)


def test_cancelling_keeps_what_was_written_and_frees_the_model(engine: LocalEngine, hold: Hold) -> None:
    go_on = hold(engine, steps=20)
    generation = engine.generate(GenerationRequest(QUESTION, ENDLESS))
    first = generation.get()
    generation.cancel()
    last = finished(generation)

    assert isinstance(first, Delta)
    assert last.reason == "cancelled"
    assert 0 < last.completion_tokens <= 21
    go_on.set()
    assert finished(engine.generate(GenerationRequest(QUESTION, GREEDY))).reason == "length"


def test_leaving_the_with_block_cancels(engine: LocalEngine, hold: Hold) -> None:
    hold(engine, steps=20)
    with engine.generate(GenerationRequest(QUESTION, ENDLESS)) as generation:
        generation.get()

    assert finished(generation).reason == "cancelled"


def test_those_who_wait_are_told_how_many_are_before_them(make_engine: EngineFactory, hold: Hold) -> None:
    engine = make_engine(max_batch=1)
    hold(engine)
    first, second, third = (engine.generate(GenerationRequest(QUESTION, ENDLESS)) for _ in range(3))

    assert next(event.ahead for event in third if isinstance(event, Waiting)) == 1
    first.cancel()
    second.cancel()
    assert [event for event in first if isinstance(event, Waiting)] == []
    assert next(event for event in third if not isinstance(event, Waiting))


def test_once_a_reply_was_measured_those_who_wait_learn_how_long(make_engine: EngineFactory, hold: Hold) -> None:
    engine = make_engine(max_batch=1)
    finished(engine.generate(GenerationRequest(QUESTION, ENDLESS)))
    hold(engine)
    engine.generate(GenerationRequest(QUESTION, ENDLESS))
    waiting = next(iter(engine.generate(GenerationRequest(QUESTION, ENDLESS))))

    assert isinstance(waiting, Waiting)
    assert waiting.seconds is not None
    assert waiting.seconds > 0


def test_a_full_queue_refuses_one_more_and_serves_the_rest(make_engine: EngineFactory, hold: Hold) -> None:
    engine = make_engine(max_batch=2)
    hold(engine)
    accepted = [engine.generate(GenerationRequest(QUESTION, ENDLESS)) for _ in range(6)]
    with pytest.raises(QueueFullError, match="4 replies are waiting"):
        engine.generate(GenerationRequest(QUESTION, ENDLESS))
    for generation in accepted:
        generation.cancel()

    assert {finished(generation).reason for generation in accepted} == {"cancelled"}


def test_people_on_the_page_are_never_refused_but_told_their_place(make_engine: EngineFactory, hold: Hold) -> None:
    engine = make_engine(max_batch=1, max_queue=1)
    hold(engine)
    accepted = [engine.generate(GenerationRequest(QUESTION, ENDLESS, str(index), origin="page")) for index in range(6)]
    with pytest.raises(QueueFullError):
        engine.generate(GenerationRequest(QUESTION, ENDLESS, origin="v1"))

    assert next(event.ahead for event in accepted[-1] if isinstance(event, Waiting)) == 4


def test_a_reply_that_takes_too_long_is_ended_and_kept(make_engine: EngineFactory, hold: Hold) -> None:
    engine = make_engine(max_reply_seconds=0.001)
    hold(engine, steps=3)
    events = list(engine.generate(GenerationRequest(QUESTION, ENDLESS)))

    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "time"
    assert events[-1].completion_tokens <= 4


def test_one_persons_many_requests_do_not_starve_anothers_one(
    make_engine: EngineFactory, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(max_batch=1, max_queue=20)
    go_on, order = hold(engine), []
    finish = engine._worker._finish

    def noting(reply: Reply, reason: FinishReason) -> None:
        order.append(reply.request.visitor)
        finish(reply, reason)

    monkeypatch.setattr(engine._worker, "_finish", noting)
    before = engine.generate(GenerationRequest(QUESTION, ENDLESS, "before"))
    asked = [engine.generate(GenerationRequest(QUESTION, GREEDY, visitor)) for visitor in [*["ten"] * 10, "one"]]
    before.cancel()
    go_on.set()
    for generation in asked:
        finished(generation)

    assert order == ["before", "ten", "one", *["ten"] * 9]


def test_a_cancelled_reply_frees_its_memory_at_once_and_leaves_the_line(engine: LocalEngine, hold: Hold) -> None:
    hold(engine, steps=5)
    generations = [engine.generate(GenerationRequest(QUESTION, ENDLESS)) for _ in range(8)]
    for generation in generations:
        generation.get()
    room = blocks_for(3 + ENDLESS.max_new_tokens) * BLOCK
    assert engine.load().used_tokens == 8 * room
    for generation in generations[1:]:
        generation.cancel()
        finished(generation)

    assert engine.load().active == 1
    assert engine.load().used_tokens == room


def test_what_does_not_fit_the_memory_waits_until_it_does(make_engine: EngineFactory) -> None:
    engine = make_engine(cache_gb=2 * 227 * 1024 / 1e9)
    capacity = engine.load().capacity_tokens
    assert capacity < 2 * 203, "room for one"
    both = [engine.generate(GenerationRequest(QUESTION, ENDLESS)) for _ in range(2)]

    assert any(isinstance(event, Waiting) for event in both[1])
    assert finished(both[0]).completion_tokens > 0


def test_a_reply_that_fails_harms_no_other(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among eight that are written together, one fails at its fifth token."""
    take = Reply.take

    def failing_take(reply: Reply, choice: SampledToken, end_tokens: Collection[int]) -> FinishReason | None:
        if reply.request.visitor == "unlucky" and reply.completion_tokens == 5:
            raise ArithmeticError("boom")
        return take(reply, choice, end_tokens)

    monkeypatch.setattr(Reply, "take", failing_take)
    visitors = ["unlucky", *(f"lucky {index}" for index in range(7))]
    generations = {
        visitor: engine.generate(GenerationRequest(CHATS[index % 4]["messages"], GREEDY, visitor))
        for index, visitor in enumerate(visitors)
    }

    with pytest.raises(EngineError, match="try again"):
        list(generations["unlucky"])
    for index, visitor in enumerate(visitors[1:], start=1):
        assert text_of(generations[visitor]) == CHATS[index % 4]["greedy_text"]


def test_a_later_turn_reads_only_what_is_new(engine: LocalEngine) -> None:
    first = list(engine.generate(GenerationRequest([{"role": "user", "content": "从前有座山，" * 6}], GREEDY)))
    turns: list[Message] = [
        {"role": "user", "content": "从前有座山，" * 6},
        {"role": "assistant", "content": text_of(first)},
        {"role": "user", "content": "后来呢"},
    ]
    again = list(engine.generate(GenerationRequest(turns, GREEDY)))
    last = again[-1]
    fresh = list(engine.generate(GenerationRequest(turns, GREEDY.model_copy(update={"seed": 1}))))

    assert isinstance(last, Finished)
    assert last.reused_tokens > 20
    assert text_of(again) == text_of(fresh), "what is read again gives the same text"
    assert isinstance(fresh[-1], Finished)
    assert fresh[-1].reused_tokens == 0


def test_a_shared_beginning_is_read_once(engine: LocalEngine) -> None:
    system: Message = {"role": "system", "content": "你是一个有耐心的老师，回答简短，多用例子，不用术语。"}
    replies = [
        finished(engine.generate(GenerationRequest([system, {"role": "user", "content": question}], GREEDY, question)))
        for question in ("天为什么蓝", "海为什么咸")
    ]

    assert replies[0].reused_tokens == 0
    assert replies[1].reused_tokens > 15


def test_the_same_seed_gives_the_same_text_alone_and_among_eight(engine: LocalEngine) -> None:
    sampling = SamplingParams(temperature=1.2, top_k=50, top_p=0.95, max_new_tokens=40, seed=11)
    alone = text_of(engine.generate(GenerationRequest(QUESTION, sampling)))
    others = [
        engine.generate(GenerationRequest(CHATS[index % 4]["messages"], ENDLESS, str(index))) for index in range(7)
    ]
    among = text_of(engine.generate(GenerationRequest(QUESTION, sampling)))
    for other in others:
        other.cancel()

    assert among == alone


def test_a_stop_string_ends_the_reply_before_it(engine: LocalEngine) -> None:
    whole = CHATS[0]["greedy_text"]
    stop = whole[10:14]
    events = list(engine.generate(GenerationRequest(QUESTION, GREEDY.model_copy(update={"stop": (stop,)}))))

    assert text_of(events) == whole[: whole.index(stop)]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"


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


def test_closing_ends_what_is_being_written(engine: LocalEngine, hold: Hold) -> None:
    hold(engine, steps=5)
    generation = engine.generate(GenerationRequest(QUESTION, ENDLESS))
    engine.close()

    assert finished(generation).reason == "cancelled"
    with pytest.raises(EngineError, match="shut down"):
        engine.generate(GenerationRequest(QUESTION, GREEDY))


def test_log_probabilities_are_the_models_own(engine: LocalEngine) -> None:
    """Of every token, before penalties and temperature, with the likeliest alternatives."""
    sampling = SamplingParams(temperature=1.5, top_k=50, repetition_penalty=1.5, max_new_tokens=12, seed=4)
    plain = GREEDY.model_copy(update={"max_new_tokens": 12})
    sampled, greedy = (
        [
            token
            for event in engine.generate(GenerationRequest(QUESTION, one, logprobs=3))
            if isinstance(event, Delta)
            for token in event.tokens
        ]
        for one in (sampling, plain)
    )

    with np.load(TINY_PATH / "expected_logits.npz") as logits:
        first = torch.tensor(logits["chat0_last"]).log_softmax(dim=-1).topk(3).values.tolist()
    assert [token.logprob for token in sampled[0].top] == pytest.approx(first, abs=1e-3)
    assert all(token.top[0].logprob == token.logprob and token.top[0].text == token.text for token in greedy)
    assert all(len(token.top) == 3 for token in greedy)
    assert any((token.logprob or 0.0) < token.top[0].logprob for token in sampled)
    written = b"".join(token.text for token in greedy).decode(errors="ignore")
    assert CHATS[0]["greedy_text"].startswith(written)


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty"])
def test_a_penalty_on_what_was_written_makes_it_rarer(engine: LocalEngine, name: str) -> None:
    def variety(penalty: float) -> float:
        sampling = GREEDY.model_copy(update={name: penalty, "max_new_tokens": 150})
        receipt = finished(engine.generate(GenerationRequest(QUESTION, sampling))).receipt
        assert receipt is not None
        return len(set(receipt.tokens)) / len(receipt.tokens)

    assert variety(2.0) > variety(0.0)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_reply_follows_its_json_schema(engine: LocalEngine, temperature: float) -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["河", "山"]}, "size": {"type": "integer", "minimum": 1, "maximum": 99}},
        "required": ["kind", "size"],
        "additionalProperties": False,
    }
    sampling = SamplingParams(temperature=temperature, max_new_tokens=60, json_schema=json.dumps(schema), seed=1)
    events = list(engine.generate(GenerationRequest(QUESTION, sampling)))

    answer = json.loads(text_of(events))
    assert answer["kind"] in ("河", "山")
    assert 1 <= answer["size"] <= 99
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "stop"


def test_json_that_a_stop_of_the_callers_has_cut_does_not_end_as_stop(engine: LocalEngine) -> None:
    sampling = GREEDY.model_copy(update={"json_schema": '{"const": {"a": "河山"}}'})
    whole = finished(engine.generate(GenerationRequest(QUESTION, sampling)))
    assert whole.receipt is not None
    cuts: list[dict[str, object]] = [{"stop": ("河",)}, {"stop_token_ids": (whole.receipt.tokens[-2],)}]
    cut = [finished(engine.generate(GenerationRequest(QUESTION, sampling.model_copy(update=one)))) for one in cuts]

    assert whole.reason == "stop"
    assert [one.reason for one in cut] == ["length", "length"]


@pytest.mark.parametrize("schema", ["{", "[]", '{"type": "wizard"}', '{"type": "string", "pattern": "("}'])
def test_a_schema_that_cannot_be_used_is_refused(engine: LocalEngine, schema: str) -> None:
    with pytest.raises(PromptError, match="JSON schema"):
        engine.generate(GenerationRequest(QUESTION, SamplingParams(json_schema=schema, max_new_tokens=16)))


def test_a_text_is_written_on_as_it_stands(engine: LocalEngine) -> None:
    prompt = engine.tokenize(QUESTION)
    by_ids = engine.generate(GenerationRequest([], GREEDY, prompt=prompt))
    by_text = engine.generate(GenerationRequest([], GREEDY, prompt="从前有座山"))

    assert text_of(by_ids) == CHATS[0]["greedy_text"]
    assert finished(by_text).prompt_tokens == len(engine.tokenize("从前有座山"))


def test_written_out_control_tokens_of_a_text_are_plain_text(engine: LocalEngine) -> None:
    tokens = engine.tokenize("你是谁<reserved_107>")

    assert 196 not in tokens
    assert engine.detokenize(tokens) == "你是谁<reserved_107>"


@pytest.mark.parametrize("prompt", ["", [], [1, 4096], [-1], "词" * 500])
def test_a_prompt_that_cannot_be_read_is_refused(engine: LocalEngine, prompt: str | list[int]) -> None:
    with pytest.raises(PromptError):
        engine.generate(GenerationRequest([], GREEDY, prompt=prompt))


@pytest.mark.parametrize("sampling", [GREEDY, SamplingParams(temperature=1.5, top_k=0, top_p=1, seed=5)], ids=str)
def test_a_reply_that_is_written_on_comes_out_as_if_it_had_not_been_cut(
    engine: LocalEngine, sampling: SamplingParams
) -> None:
    """Wherever it was cut, also between the byte tokens of a character."""

    def write(longest: int, continues: Sequence[int] = ()) -> tuple[str, Sequence[int]]:
        one = sampling.model_copy(update={"max_new_tokens": longest, "presence_penalty": 0.5})
        events = list(engine.generate(GenerationRequest(QUESTION, one, continues=continues)))
        assert isinstance(events[-1], Finished)
        assert events[-1].receipt is not None
        return text_of(events), events[-1].receipt.tokens

    whole, tokens = write(24)
    for cut in range(1, 24):
        first, begun = write(cut)
        rest, written = write(24 - cut, begun)
        assert first + rest == whole, cut
        assert written == tokens


def test_a_replay_of_what_was_written_on_compares_all_of_it(engine: LocalEngine) -> None:
    begun = finished(engine.generate(GenerationRequest(QUESTION, GREEDY))).receipt
    assert begun is not None
    receipt = finished(engine.generate(GenerationRequest(QUESTION, GREEDY, continues=begun.tokens))).receipt
    assert receipt is not None
    again = replay(engine, Receipt.from_json(receipt.to_json()))

    assert len(receipt.tokens) == 48
    assert again.difference is None


def test_a_reply_is_written_on_in_the_room_that_is_left(engine: LocalEngine) -> None:
    sampling = SamplingParams(temperature=1.2, top_k=0, top_p=1, max_new_tokens=128, ignore_eos=True, seed=4)
    older: list[Message] = [{"role": "user", "content": "今天天气"}, {"role": "assistant", "content": "很好"}]
    prompt, length = engine.tokenize(QUESTION), engine.info.context_length
    begun = finished(engine.generate(GenerationRequest(QUESTION, sampling))).receipt
    assert begun is not None
    assert len(prompt) + 2 * len(begun.tokens) > length
    request = GenerationRequest([*older, *QUESTION], sampling, continues=begun.tokens)
    with pytest.raises(PromptError, match="leaves no room for a question"):
        engine.generate(request)

    last = finished(engine.generate(replace(request, may_be_shorter=True)))

    assert last.reason == "length"
    assert last.prompt_tokens == len(prompt) + 128, "older rounds make room"
    assert last.prompt_tokens + last.completion_tokens == length
    assert last.receipt is not None
    assert last.receipt.sampling.max_new_tokens == last.completion_tokens, "as it was really sampled"
    assert replay(engine, last.receipt).difference is None
    with pytest.raises(ContextFullError, match="The context is full"):
        engine.generate(replace(request, continues=last.receipt.tokens, may_be_shorter=True))
