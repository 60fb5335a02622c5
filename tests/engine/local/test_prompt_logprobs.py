"""How likely a prompt's tokens were: what one plain forward pass over all of it says."""

import random
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch

from components.engine.errors import EngineError
from components.engine.events import ChosenToken, Delta, Event, Finished, PromptRead
from components.engine.interface import GenerationRequest
from components.engine.local import computing, worker
from components.engine.local import sequence as sequences
from components.engine.local.block_pool import BLOCK
from components.engine.local.engine import LocalEngine
from components.sampling.parameters import SamplingParams
from tests.engine.conftest import EngineFactory, Tiny
from tests.engine.local.conftest import Hold

GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=4)
VOCABULARY = 1000  # of the tiny checkpoint, at least
END = "</s>"


def some_tokens(count: int, seed: int = 0) -> list[int]:
    """Of all kinds: text, single bytes, control tokens."""
    return random.Random(seed).choices(range(VOCABULARY), k=count)


def reading(prompt: Sequence[int], top: int | None = 0, **options: Any) -> GenerationRequest:
    return GenerationRequest([], **{"sampling": GREEDY, "prompt": prompt, "prompt_logprobs": top, **options})


def read_of(events: Sequence[Event]) -> PromptRead:
    [read] = [event for event in events if isinstance(event, PromptRead)]
    return read


def last_of(events: Sequence[Event]) -> Finished:
    last = events[-1]
    assert isinstance(last, Finished)
    return last


@torch.inference_mode()
def plain_logprobs(tiny: Tiny, tokens: Sequence[int]) -> torch.Tensor:
    logits: torch.Tensor = tiny[0](torch.tensor([tokens]), use_cache=False).logits[0].float()
    return logits.log_softmax(dim=-1)


def assert_equals_a_plain_pass(read: PromptRead, tiny: Tiny, tokens: Sequence[int], top: int) -> None:
    wanted = plain_logprobs(tiny, tokens)
    assert len(read.others) == len(tokens) - 1
    for place, told in enumerate(read.others):
        assert told.logprob is not None
        assert told.logprob == pytest.approx(float(wanted[place, tokens[place + 1]]), abs=1e-4)
        likeliest = wanted[place].topk(top).values.tolist()
        assert [one.logprob for one in told.top] == pytest.approx(likeliest, abs=1e-4)
        if top and told.logprob >= told.top[0].logprob:
            assert told.logprob == told.top[0].logprob, "who compares them wants the same number"


@pytest.fixture(params=[sequences.PIECE, 2 * BLOCK])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The tiny checkpoint's context is one piece; with smaller ones its prompts are read in several."""
    for module in (sequences, computing, worker):
        monkeypatch.setattr(module, "PIECE", request.param)
    monkeypatch.setattr(computing, "BLOCKS_OF_PIECE", request.param // BLOCK)
    return int(request.param)


@pytest.mark.parametrize(("count", "top"), [(1, 3), (2, 0), (15, 1), (32, 50), (33, 2), (65, 0), (250, 5)])
def test_every_token_is_as_likely_as_a_plain_pass_says(
    engine: LocalEngine, tiny: Tiny, piece: int, count: int, top: int
) -> None:
    tokens = some_tokens(count, seed=count + piece)
    events = list(engine.generate(reading(tokens, top)))

    assert_equals_a_plain_pass(read_of(events), tiny, tokens, top)
    assert not any(isinstance(event, Delta) for event in events[: events.index(read_of(events))]), "it comes first"


@pytest.mark.parametrize("seed", [None, 3])
def test_what_others_have_read_is_read_again_because_its_logits_are_gone(
    engine: LocalEngine, tiny: Tiny, piece: int, seed: int | None
) -> None:
    tokens = some_tokens(5 * BLOCK, seed=piece)
    sampling = GREEDY.model_copy(update={"seed": seed})
    for top in (None, 0, None):
        events = list(engine.generate(reading([*tokens, 300, 301], top, sampling=sampling)))
        if top is not None:
            assert_equals_a_plain_pass(read_of(events), tiny, [*tokens, 300, 301], 0)
            assert last_of(events).reused_tokens == 0
    whole_pieces = (len(tokens) + 1) // piece * piece
    assert last_of(events).reused_tokens == (len(tokens) if seed is None else whole_pieces), "others use what it read"


def test_several_at_once_each_get_their_own(
    make_engine: EngineFactory, tiny: Tiny, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "PIECE", BLOCK)
    monkeypatch.setattr(worker, "PIECE", BLOCK)
    engine = make_engine(max_batch=4)
    go_on = hold(engine)
    same = some_tokens(70)
    asked = [(same, 2), (same, None), (same[:40], 5), (same, 0)]
    with ExitStack() as stack:
        generations = [stack.enter_context(engine.generate(reading(tokens, top))) for tokens, top in asked]
        go_on.set()
        told = [list(generation) for generation in generations]

    for (tokens, top), events in zip(asked, told, strict=True):
        if top is None:
            assert not any(isinstance(event, PromptRead) for event in events)
        else:
            assert_equals_a_plain_pass(read_of(events), tiny, tokens, top)


def test_the_reply_is_the_same_as_without(engine: LocalEngine) -> None:
    def written(**options: Any) -> list[str]:
        request = reading(some_tokens(40), **options)
        return [event.text for event in engine.generate(request) if isinstance(event, Delta)]

    assert written() == written(prompt_logprobs=None) != []


def test_a_prompt_that_is_only_read_may_fill_the_context(make_engine: EngineFactory, tiny: Tiny) -> None:
    engine = make_engine(cache_gb=1e-6)
    tokens = some_tokens(engine.info.context_length)
    generation = engine.generate(reading(tokens, 1, writes=False))
    events = [generation.get(timeout=60), generation.get(timeout=60)]

    assert_equals_a_plain_pass(read_of(events), tiny, tokens, 1)
    last = last_of(events)
    assert (last.reason, last.prompt_tokens, last.completion_tokens) == ("length", len(tokens), 0)
    assert engine.load().capacity_tokens == len(tokens), "the prompt had all there is"
    assert engine.load().used_tokens == 0


def test_the_logits_of_more_than_a_piece_are_never_held(
    engine: LocalEngine, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefill, rows = engine._worker._runner.prefill, []

    def counting(*arguments: Any, **options: Any) -> torch.Tensor:
        logits = prefill(*arguments, **options)
        rows.append(len(logits))
        return logits

    monkeypatch.setattr(engine._worker._runner, "prefill", counting)
    list(engine.generate(reading(some_tokens(200), writes=False)))

    assert sum(rows) == 200
    assert max(rows) <= piece


def test_the_tokens_texts_are_the_prompts_with_control_tokens_written_out(engine: LocalEngine, tiny: Tiny) -> None:
    end = tiny[1].convert_tokens_to_ids(END)
    prompt = [end, *engine.tokenize([{"role": "user", "content": "从前 once €"}])]
    read = read_of(list(engine.generate(reading(prompt))))

    assert (read.first + b"".join(token.text for token in read.others)).decode() == tiny[1].decode(prompt)
    assert [read.first, read.others[0].text] == [END.encode(), b"<reserved_106>"]


def test_logits_that_are_no_numbers_fail_only_who_asked(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    prefill = engine._worker._runner.prefill

    def broken(*arguments: Any, **options: Any) -> torch.Tensor:
        logits = prefill(*arguments, **options)
        return torch.full_like(logits, torch.nan) if options else logits

    monkeypatch.setattr(engine._worker._runner, "prefill", broken)
    with pytest.raises(EngineError, match="no numbers"):
        list(engine.generate(reading(some_tokens(20), writes=False)))

    assert last_of(list(engine.generate(reading(some_tokens(20), prompt_logprobs=None)))).completion_tokens == 4
    assert engine.load().used_tokens == 0


def unshown(engine: LocalEngine, **changes: Any) -> tuple[list[ChosenToken], list[ChosenToken]]:
    """The tokens of a reply that showed text, and those that did not."""
    sampling = GREEDY.model_copy(update=changes)
    events = list(engine.generate(reading(some_tokens(20), sampling=sampling, logprobs=1)))
    shown = [token for event in events if isinstance(event, Delta) for token in event.tokens]
    return shown, list(last_of(events).tokens)


def test_tokens_that_show_no_text_are_told_at_the_end(engine: LocalEngine, tiny: Tiny) -> None:
    """Who counts them finds each: the one that ends the reply, a part of a character, a stop text."""
    end = tiny[1].convert_tokens_to_ids(END)
    byte = tiny[1].convert_tokens_to_ids("<0xE4>")
    shown, [last] = unshown(engine, logit_bias={end: 100.0})
    assert (shown, last.text) == ([], END.encode())
    assert last.logprob == pytest.approx(float(plain_logprobs(tiny, some_tokens(20))[-1, end]), abs=1e-4), (
        "before the bias"
    )

    shown, parts = unshown(engine, logit_bias={byte: 100.0}, max_new_tokens=1)
    assert (shown, [part.text for part in parts]) == ([], [b"\xe4"])

    whole, _ = unshown(engine)
    shown, stopped = unshown(engine, stop=(whole[1].text.decode(),))
    assert [*shown, *stopped] == whole[:2]
