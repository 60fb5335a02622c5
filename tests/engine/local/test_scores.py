"""The scores that are kept of replies, and what is read of them afterwards: what one plain forward pass says."""

import copy
import itertools
import math
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import eq
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from transformers import (
    LogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from components.engine.errors import PromptError
from components.engine.events import Delta, Event, Finished, ScoresRead
from components.engine.interface import GenerationRequest
from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.engine.local.reading import READ_PIECE
from components.model.cpu_kernels import CpuKernels, Wide
from components.model.loading import load_model
from components.model.quantization import Quantize
from components.sampling import choosing
from components.sampling.filters import Cut, ExactStep, Left
from components.sampling.kept import StepScores
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.engine.conftest import EngineFactory, Tiny
from tests.tiny import TINY_PATH

TOP = 50
SURPRISING = SamplingParams(temperature=1.5, top_k=0, top_p=1.0, repetition_penalty=1.3, max_new_tokens=24, seed=5)
"""So that tokens are chosen that are none of the likeliest, too."""


@dataclass(frozen=True)
class Written:
    tokens: Sequence[int]
    prompt: int
    scores: Sequence[StepScores]
    finished: Finished

    @property
    def end(self) -> int:
        """How many steps there are for tokens of the reply; behind them stands the one that ended it."""
        return len(self.tokens)


def written(events: Sequence[Event]) -> Written:
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.receipt is not None
    scores = [step for event in events if isinstance(event, Delta) for step in event.scores]
    return Written(last.receipt.tokens, last.prompt_tokens, [*scores, *last.scores], last)


def write(engine: LocalEngine, prompt: Sequence[int], sampling: SamplingParams, **options: Any) -> Written:
    request = GenerationRequest([], sampling, prompt=prompt, **{"kept_scores": TOP, **options})
    return written(list(engine.generate(request)))


def some_tokens(count: int, seed: int = 0) -> list[int]:
    """Of all kinds: text, single bytes, control tokens."""
    return random.Random(seed).choices(range(1000), k=count)


@torch.no_grad()
def plain_logits(tiny: Tiny, tokens: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = tiny[0](torch.tensor([tokens]), use_cache=False).logits[0].float()
    return logits


def assert_equals_a_plain_pass(tiny: Tiny, prompt: Sequence[int], tokens: Sequence[int], scores: Any) -> None:
    """``tokens`` are the reply's, with the one that ended it if there was one."""
    assert [step.token for step in scores] == list(tokens)
    logits = plain_logits(tiny, [*prompt, *tokens])[len(prompt) - 1 :]
    for step, wanted in zip(scores, logits, strict=False):
        assert step.ids.dtype == np.int32
        assert len(set(step.ids.tolist())) == len(step.ids) == min(TOP, len(wanted))
        assert step.scores == pytest.approx(wanted[step.ids].numpy(), abs=1e-4)
        assert step.scores == pytest.approx(wanted.topk(TOP).values.numpy(), abs=1e-4)
        assert (np.diff(step.scores) <= 0).all()
        assert step.score == pytest.approx(float(wanted[step.token]), abs=1e-4)
        wanted[step.ids] = -torch.inf
        assert step.rest == pytest.approx(float(wanted.logsumexp(-1)), abs=1e-4)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_the_scores_kept_are_a_plain_passs(engine: LocalEngine, tiny: Tiny, penalty: float) -> None:
    prompt = some_tokens(20)
    sampling = SURPRISING.model_copy(update={"repetition_penalty": penalty, "logit_bias": {7: 2.0, 11: -3.0}})
    reply = write(engine, prompt, sampling)
    assert len(reply.tokens) == 24
    assert any(step.token not in step.ids for step in reply.scores), "or the test is too easy"
    assert_equals_a_plain_pass(tiny, prompt, reply.tokens, reply.scores)


def test_who_does_not_ask_gets_none(make_engine: EngineFactory) -> None:
    reply = write(make_engine(), some_tokens(20), SURPRISING, kept_scores=0)
    assert reply.tokens
    assert reply.scores == []


def test_eight_at_once_get_each_its_own(make_engine: EngineFactory, tiny: Tiny) -> None:
    engine = make_engine(max_batch=8, max_queue=8)
    prompts = [some_tokens(10 + 3 * number, seed=number) for number in range(8)]
    counts = [TOP, 0, TOP, TOP, 0, TOP, TOP, TOP]
    replies: dict[int, Written] = {}

    def ask(number: int) -> None:
        sampling = SURPRISING.model_copy(update={"seed": number})
        replies[number] = write(engine, prompts[number], sampling, kept_scores=counts[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, count in enumerate(counts):
        if count:
            assert_equals_a_plain_pass(tiny, prompts[number], replies[number].tokens, replies[number].scores)
        else:
            assert replies[number].scores == []


def test_a_known_beginning_and_a_reply_written_on_change_nothing(engine: LocalEngine, tiny: Tiny) -> None:
    prompt = some_tokens(100)
    sampling = SURPRISING.model_copy(update={"seed": None})
    first = write(engine, prompt, sampling)
    more = write(engine, prompt, sampling, continues=first.tokens)
    assert more.finished.reused_tokens >= 96
    assert more.tokens[: first.end] == first.tokens
    assert [step.token for step in more.scores] == list(more.tokens[first.end :]), "only those of what is new"
    assert_equals_a_plain_pass(tiny, [*prompt, *first.tokens], more.tokens[first.end :], more.scores)


def test_stop_strings_and_the_token_that_ends_a_reply_have_scores_too(engine: LocalEngine, tiny: Tiny) -> None:
    prompt = some_tokens(20)
    whole = write(engine, prompt, SURPRISING)
    text = engine.detokenize(whole.tokens)
    stop = next(char for char in text[5:] if char.isascii() and char.isprintable() and char != " ")
    stopped = write(engine, prompt, SURPRISING.model_copy(update={"stop": (stop,)}))
    assert 0 < stopped.end < whole.end
    assert_equals_a_plain_pass(tiny, prompt, stopped.tokens, stopped.scores)

    end = whole.tokens[-1]
    ended = write(engine, prompt, SURPRISING.model_copy(update={"stop_token_ids": (end,)}))
    assert end not in ended.tokens
    assert_equals_a_plain_pass(tiny, prompt, [*ended.tokens, end], ended.scores)


def test_tokens_that_are_single_bytes_have_scores(engine: LocalEngine, tiny: Tiny) -> None:
    tokenizer = tiny[1]
    single = tokenizer.convert_tokens_to_ids(["<0xE4>", "<0xBD>", "<0xA0>"])
    sampling = SURPRISING.model_copy(update={"logit_bias": dict.fromkeys(single, 100.0)})
    reply = write(engine, some_tokens(20), sampling)
    assert set(reply.tokens) <= set(single)
    assert_equals_a_plain_pass(tiny, some_tokens(20), reply.tokens, reply.scores)


def read(engine: LocalEngine, prompt: Sequence[int], tokens: Sequence[int], **options: Any) -> ScoresRead:
    request = GenerationRequest([], prompt=prompt, continues=tokens, writes=False, **options)
    [told] = [event for event in engine.generate(request) if isinstance(event, ScoresRead)]
    return told


@pytest.mark.parametrize("count", [1, READ_PIECE - 20, READ_PIECE + 30])
def test_the_scores_of_a_reply_are_read_afterwards(engine: LocalEngine, tiny: Tiny, count: int) -> None:
    prompt, tokens = some_tokens(20), some_tokens(count, seed=1)
    for _ in range(2):  # the second time the prompt is known
        told = read(engine, prompt, tokens, kept_scores=TOP)
        assert_equals_a_plain_pass(tiny, prompt, tokens, told.kept)
        assert told.exact == ()


def of_transformers(logits: torch.Tensor, before: Sequence[int], sampling: SamplingParams) -> ExactStep:
    """What its processors leave one after the other, the reply's penalties and temperature among them."""
    ids = torch.tensor([before])
    penalized = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)(ids, logits[None].clone())
    likeliest = int(penalized[0].argmax())
    if sampling.temperature == 0:
        largest, lowest = float(penalized.max()), float(penalized.min())
        every = Left(None, len(logits), lowest, float(penalized[0].logsumexp(-1)))
        return ExactStep(likeliest, (every, Left(Cut.TEMPERATURE, 1, largest, largest)))
    processors: dict[Cut | None, LogitsProcessor] = {
        None: TemperatureLogitsWarper(sampling.temperature),
        **({Cut.TOP_K: TopKLogitsWarper(sampling.top_k)} if sampling.top_k else {}),
        **({Cut.TOP_P: TopPLogitsWarper(sampling.top_p)} if sampling.top_p < 1 else {}),
        **({Cut.MIN_P: MinPLogitsWarper(sampling.min_p)} if sampling.min_p else {}),
    }
    left, stages = penalized.clone(), []
    for cut, processor in processors.items():
        left = processor(ids, left)
        kept = left[0] > -torch.inf
        stages.append(Left(cut, int(kept.sum()), float(penalized[0][kept].min()), float(left[0].logsumexp(-1))))
    return ExactStep(likeliest, tuple(stages))


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0.0},
        {"top_k": 5, "top_p": 0.85},
        {"top_k": 0, "top_p": 1.0, "temperature": 1.3},
        {"top_k": 0, "top_p": 0.5, "temperature": 0.7},
        {"top_k": 0, "top_p": 0.97, "temperature": 2.0},
        {"top_k": 0, "top_p": 1.0, "min_p": 0.2},
        {"top_k": 100, "top_p": 0.9, "min_p": 0.05, "temperature": 1.0},
        {"top_k": 0, "top_p": 0.9, "min_p": 0.05, "temperature": 1.0},
        {"top_k": 0, "top_p": 0.99, "min_p": 0.9, "temperature": 1.5},  # top_p's border is far behind min_p's
    ],
    ids=str,
)
def test_exact_steps_are_what_transformers_processors_leave(
    engine: LocalEngine, tiny: Tiny, changes: dict[str, float]
) -> None:
    prompt, tokens = some_tokens(20), some_tokens(READ_PIECE + 10, seed=2)
    sampling = SamplingParams.model_validate({"repetition_penalty": 1.2, **changes})
    places = [3, 4, READ_PIECE - 5, READ_PIECE, READ_PIECE + 10]
    told = read(engine, prompt, tokens, sampling=sampling, exact_at=places)
    assert len(told.exact) == len(places)
    logits = plain_logits(tiny, [*prompt, *tokens])
    for place, step in zip(places, told.exact, strict=True):
        before = [*prompt, *tokens[:place]]
        wanted = of_transformers(logits[len(before) - 1], before, sampling)
        assert step.likeliest == wanted.likeliest
        for left, other in zip(step.stages, wanted.stages, strict=True):
            assert (left.cut, left.kept) == (other.cut, other.kept)
            assert left.lowest == pytest.approx(other.lowest, abs=1e-4)
            assert left.log_total == pytest.approx(other.log_total, abs=1e-4)


def test_presence_and_frequency_count_the_reply_alone(engine: LocalEngine, tiny: Tiny) -> None:
    prompt, tokens = some_tokens(20), [5, 9, 5, 5]
    options = {"top_k": 0, "top_p": 1.0, "temperature": 1.0, "repetition_penalty": 1.0}
    sampling = SamplingParams(presence_penalty=0.5, frequency_penalty=0.25, logit_bias={3: 1.5}, **options)
    told = read(engine, prompt, tokens, sampling=sampling, exact_at=[0, 4])
    logits = plain_logits(tiny, [*prompt, *tokens])
    logits[:, 3] += 1.5
    logits[-1, 5] -= 0.5 + 3 * 0.25
    logits[-1, 9] -= 0.5 + 0.25
    for step, wanted in zip(told.exact, (logits[len(prompt) - 1], logits[-1]), strict=True):
        assert step.likeliest == int(wanted.argmax())
        [left] = step.stages
        assert left.kept == len(wanted)
        assert left.log_total == pytest.approx(float(wanted.logsumexp(-1)), abs=1e-4)


def test_a_place_that_the_reply_has_not_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(PromptError, match="places 0 to 3"):
        engine.generate(GenerationRequest([], prompt=[1], continues=[2, 3, 4], writes=False, exact_at=[4]))


def in_bfloat16(quantize: Quantize, wide: Wide) -> Tiny:
    with pytest.MonkeyPatch.context() as machine:
        kernels = CpuKernels(wide, 4)
        machine.setattr("components.model.loading._find_kernels", lambda *_: kernels)
        return load_model(TINY_PATH, dtype=torch.bfloat16, device="cpu", quantize=quantize)


@pytest.fixture(scope="module", params=["bfloat16", "float32", "float16", "none"])
def rounded(request: pytest.FixtureRequest) -> Tiny:
    """In bfloat16, where reading a prompt and decoding round otherwise; with int8, decoding has kernels of its own."""
    return in_bfloat16("none", "bfloat16") if request.param == "none" else in_bfloat16("int8", request.param)


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("afresh", [True, False])
def test_what_is_read_afterwards_is_to_the_bit_what_was_written(
    rounded: Tiny, tmp_path: Path, seed: int | None, afresh: bool
) -> None:
    def start() -> LocalEngine:
        return build_engine(copy.deepcopy(rounded[0]), rounded[1], Settings(data_dir=tmp_path), "tiny")

    prompt = some_tokens(150, seed=4)
    sampling = SURPRISING.model_copy(update={"seed": seed, "max_new_tokens": READ_PIECE + 40, "ignore_eos": True})
    greedy = SamplingParams(temperature=0.0, repetition_penalty=1.0, seed=seed)
    engine = start()
    write(engine, prompt[:70], sampling)  # whose beginning the reply uses
    reply = write(engine, prompt, sampling)
    reused = reply.finished.reused_tokens
    assert reused if seed is None else not reused
    if afresh:
        engine.close()
        engine = start()
        write(engine, prompt[:70], sampling)
    with closing(engine):
        same = {"sampling": greedy, "reused": reused}
        kept = read(engine, prompt, reply.tokens, kept_scores=TOP, **same).kept
        places = [0, 1, READ_PIECE + 3, len(reply.tokens) - 1]
        exact = read(engine, prompt, reply.tokens, exact_at=places, **same).exact
    assert len(kept) == len(reply.scores)
    for ours, theirs in zip(kept, reply.scores, strict=True):
        assert ours.token == theirs.token
        assert ours.ids.tolist() == theirs.ids.tolist()
        assert ours.scores.tolist() == theirs.scores.tolist()
        assert ours.rest == pytest.approx(theirs.rest, abs=1e-5)
    assert [step.stages[-1].lowest for step in exact] == [float(reply.scores[place].scores[0]) for place in places]


@pytest.mark.parametrize("wide", get_args(Wide))
def test_with_a_seed_int8_weights_are_used_where_they_are_fast_for_any_number_of_rows(
    tmp_path: Path, wide: Wide
) -> None:
    """Seen by the scores, which the other weights round otherwise; and a reply is the same alone and among seven."""
    model, tokenizer = in_bfloat16("int8", wide)
    greedy = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=12, ignore_eos=True)
    seeded, prompt = SURPRISING.model_copy(update={"ignore_eos": True}), some_tokens(30)
    with closing(build_engine(model, tokenizer, Settings(data_dir=tmp_path, max_batch=8), "tiny")) as engine:
        without, with_one = (
            write(engine, some_tokens(20), greedy.model_copy(update={"seed": seed})) for seed in (None, 1)
        )
        alone = write(engine, prompt, seeded)
        requests = [
            GenerationRequest([], seeded, f"visitor {number}", prompt=[*prompt[:number], *prompt], kept_scores=TOP)
            for number in range(8)
        ]
        first, *others = [engine.generate(request) for request in requests]
        among = written(list(first))
        assert len(others) == 7
    assert all(map(eq, without.scores[1:], with_one.scores[1:])) == (wide != "bfloat16")
    assert among.tokens == alone.tokens
    assert list(among.scores) == list(alone.scores)


@pytest.mark.parametrize("reused", [0, 64])
def test_beside_whoever_reads_the_same_prompt_it_is_read_in_the_pieces_of_then(
    make_long: Callable[[], LocalEngine], reused: int
) -> None:
    engine = make_long()
    prompt = some_tokens(600, seed=4)  # of several pieces
    once = SURPRISING.model_copy(update={"seed": None, "max_new_tokens": 1})
    with engine._worker._changed:  # so that both are let in before either has read anything
        other = engine.generate(GenerationRequest([], once, "another visitor", prompt=prompt))
        read_again = GenerationRequest(
            [], prompt=prompt, continues=some_tokens(20), writes=False, kept_scores=TOP, reused=reused
        )
        reading = engine.generate(read_again)
    list(other)
    *_, finished = reading
    assert isinstance(finished, Finished)
    assert finished.reused_tokens == reused


def test_who_reads_a_long_reply_holds_nobody_up_for_long(
    make_engine: EngineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two tokens of somebody else's reply, one small piece is read."""
    engine = make_engine()
    happened: list[str] = []
    runner = engine._worker._runner
    decode_known, decode = runner.decode_known, runner.decode

    def noting_known(table: Any, begin: int, tokens: Sequence[int], exact: bool) -> torch.Tensor:
        happened.append("read")
        assert len(tokens) <= READ_PIECE
        return decode_known(table, begin, tokens, exact)

    def noting_decode(*arguments: Any) -> torch.Tensor:
        happened.append("decode")
        return decode(*arguments)

    monkeypatch.setattr(runner, "decode_known", noting_known)
    monkeypatch.setattr(runner, "decode", noting_decode)
    endless = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=200, ignore_eos=True)
    with engine.generate(GenerationRequest([], endless, prompt=some_tokens(5))) as other:
        other.get()
        read(engine, some_tokens(20), some_tokens(200, seed=3), kept_scores=TOP)
    reads = [place for place, what in enumerate(happened) if what == "read"]
    assert len(reads) >= 200 // READ_PIECE
    assert all(after - before > 1 for before, after in itertools.pairwise(reads))


def test_no_tokens_left_is_no_rest(engine: LocalEngine) -> None:
    reply = write(engine, some_tokens(5), SURPRISING, kept_scores=10**6)
    assert {step.rest for step in reply.scores} == {-math.inf}


def test_a_step_that_is_tried_again_keeps_its_scores_once(
    make_engine: EngineFactory, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    choose, calls = choosing.choose, []

    def failing_once(logits: torch.Tensor, samplers: Any) -> Any:
        chosen = choose(logits, samplers)
        calls.append(True)
        if len(calls) == 3:
            raise RuntimeError("a step failed")
        return chosen

    monkeypatch.setattr("components.engine.local.computing.choose", failing_once)
    prompt = some_tokens(20)
    reply = write(engine, prompt, SURPRISING.model_copy(update={"max_new_tokens": 8}))
    assert len(calls) == 9
    assert_equals_a_plain_pass(tiny, prompt, reply.tokens, reply.scores)
