"""Rounds of the engine's thread: nobody harms anybody, whatever fails and whoever asks for how much."""

import gc
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.engine.errors import EngineError, EngineNotReadyError
from components.engine.events import Delta, Finished
from components.engine.interface import Generation, GenerationRequest
from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.engine import LocalEngine
from components.engine.local.llama_runner import LlamaRunner
from components.engine.local.sequence import PIECE
from components.engine.local.worker import FAILURES_IN_A_ROW
from components.sampling import choosing
from components.sampling.errors import NotNumbersError, SamplingError
from components.sampling.parameters import SamplingParams
from components.sampling.sampler import Sampler
from tests.engine.conftest import EngineFactory
from tests.tiny import CHATS

GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=24)
RANDOM = SamplingParams(temperature=1.2, top_k=50, max_new_tokens=24)
LONG = list(range(300, 300 + 230))


def finished(generation: Generation) -> Finished:
    *_, last = generation
    assert isinstance(last, Finished)
    return last


def tokens_of(generation: Generation) -> Sequence[int]:
    receipt = finished(generation).receipt
    assert receipt is not None
    return receipt.tokens


def text_of(generation: Generation) -> str:
    return "".join(event.text for event in generation if isinstance(event, Delta))


def seeded(engine: LocalEngine, number: int) -> Generation:
    chat = CHATS[number % len(CHATS)]["messages"]
    return engine.generate(GenerationRequest(chat, RANDOM.model_copy(update={"seed": number}), f"visitor {number}"))


class Pause:
    """Holds the engine's thread at its next decode step, so that several requests arrive in one round."""

    def __init__(self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        worker, self._go = engine._worker, threading.Event()
        admit = worker._admit

        def waiting_admit() -> None:
            self._go.wait()
            admit()

        monkeypatch.setattr(worker, "_admit", waiting_admit)

    def end(self) -> None:
        self._go.set()


FAULTS: dict[str, type[Exception]] = {
    "before the model": torch.OutOfMemoryError,
    "between two groups of the model": RuntimeError,
    "while choosing": ArithmeticError,
}


@pytest.mark.parametrize("where", FAULTS)
@pytest.mark.parametrize("step", [1, 2, 9])
def test_a_step_that_fails_has_changed_nobodys_reply(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, where: str, step: int
) -> None:
    """It fails once for all, is tried for each, and everybody gets the tokens that they get alone."""
    alone = [tokens_of(seeded(engine, number)) for number in range(4)]
    runner = engine._worker._runner
    decode, steps = runner.decode, []

    def failing(tables: Sequence[BlockTable], *rest: Any) -> torch.Tensor:
        if len(tables) > 1:
            steps.append(1)
        if len(tables) > 1 and len(steps) == step and where != "while choosing":
            if where == "between two groups of the model":
                decode(tables[:2], *(part[:2] for part in rest))
            raise FAULTS[where]("as if it were too much")
        return decode(tables, *rest)

    armed: list[int] = []
    monkeypatch.setattr(runner, "decode", failing)
    if where == "while choosing":
        choose = choosing.choose

        def failing_choose(logits: torch.Tensor, samplers: Sequence[Sampler]) -> object:
            outcome = choose(logits, samplers)
            if len(samplers) > 1 and len(steps) == step and not armed:
                armed.append(1)
                raise FAULTS[where]("as if one neighbour's choice failed")
            return outcome

        monkeypatch.setattr("components.engine.local.computing.choose", failing_choose)
    pause = Pause(engine, monkeypatch)
    generations = [seeded(engine, number) for number in range(4)]
    pause.end()

    assert [tokens_of(generation) for generation in generations] == alone
    assert len(steps) >= step, "the fault was met"


def poison(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, row: Callable[[torch.Tensor], object], at: int
) -> None:
    """From the ``at``-th token on, the last of several replies gets logits that say nothing."""
    runner = engine._worker._runner
    decode, steps = runner.decode, []

    def poisoned(tables: Sequence[BlockTable], *rest: Any) -> torch.Tensor:
        logits = decode(tables, *rest).clone()  # what is made in inference mode cannot be changed outside
        if len(tables) > 1:
            steps.append(1)
            if len(steps) == at:
                row(logits[-1])
        return logits

    monkeypatch.setattr(runner, "decode", poisoned)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_logits_that_say_nothing_end_that_reply_with_an_error(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    alone = [tokens_of(seeded(engine, number)) for number in range(3)]
    poison(engine, monkeypatch, lambda row: row.fill_(value), at=3)
    pause = Pause(engine, monkeypatch)
    generations = [seeded(engine, number) for number in range(4)]
    pause.end()

    with pytest.raises(EngineError, match="model"):
        list(generations[3])
    assert [tokens_of(generation) for generation in generations[:3]] == alone


def test_a_failed_replys_keys_and_values_are_not_used_again(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def failing(*_: object) -> None:
            raise ArithmeticError("boom")

        patch.setattr(engine._worker, "_take", failing)
        with pytest.raises(EngineError):
            list(engine.generate(GenerationRequest([], GREEDY, prompt=LONG)))

    assert engine.load().idle_tokens == 0
    assert finished(engine.generate(GenerationRequest([], GREEDY, prompt=LONG))).reused_tokens == 0


def test_what_was_kept_gives_way_when_somebody_needs_the_room(make_engine: EngineFactory) -> None:
    engine = make_engine(cache_gb=20 * BLOCK * 2048 / 1e9)
    capacity = engine.load().capacity_tokens
    for begin in range(0, 1000, 100):
        finished(engine.generate(GenerationRequest([], GREEDY, prompt=list(range(begin, begin + 100)))))
        load = engine.load()
        assert load.used_tokens == 0
        assert load.idle_tokens <= capacity

    assert engine.load().idle_tokens > capacity / 2, "what fits is kept"
    last = finished(engine.generate(GenerationRequest([], GREEDY, prompt=[*range(900, 1000), 5])))
    assert last.reused_tokens >= 96


def test_a_worker_that_dies_is_started_again_with_empty_memory_and_those_who_wait_are_served(
    make_engine: EngineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(max_batch=1)
    worker = engine._worker
    decode, deaths = worker._decode, [RuntimeError("the worker dies")]

    def dying() -> None:
        if deaths and engine.load().waiting:
            raise deaths.pop()
        decode()

    finished(engine.generate(GenerationRequest([], GREEDY, prompt=LONG[:100])))
    monkeypatch.setattr(worker, "_decode", dying)
    first = engine.generate(GenerationRequest([], GREEDY.model_copy(update={"max_new_tokens": 100}), prompt=LONG[:99]))
    second = engine.generate(GenerationRequest([], GREEDY, prompt=LONG[:100]))

    with pytest.raises(EngineError, match="start again"):
        list(first)
    assert finished(second).reused_tokens == 0, "what the dead one left may be half written"
    assert engine.load().used_tokens == 0
    assert not deaths


class Reading:
    """Which pieces of prompts were read, in their order: (visitor, tokens)."""

    def __init__(self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces: list[tuple[str, int]] = []
        worker = engine._worker
        read = worker._prefill_piece

        def noting(sequence: object) -> int:
            count = read(sequence)  # type: ignore[arg-type]
            self.pieces.append((sequence.request.visitor, count))  # type: ignore[attr-defined]
            return count

        monkeypatch.setattr(worker, "_prefill_piece", noting)


def ask(engine: LocalEngine, visitor: str, prompt: list[int], **options: object) -> Generation:
    sampling = GREEDY.model_copy(update={"max_new_tokens": 4, **options})
    return engine.generate(GenerationRequest([], sampling, visitor, prompt=prompt))


def test_a_short_prompt_waits_for_one_piece_of_the_long_ones(
    make_long: Callable[[], LocalEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_long()
    reading, pause = Reading(engine, monkeypatch), Pause(engine, monkeypatch)
    hog = [ask(engine, "hog", [number + 1] * 1800) for number in range(4)]
    other = ask(engine, "other", [9] * 20)
    same = ask(engine, "hog", [8] * 20)
    pause.end()
    for generation in [*hog, other, same]:
        finished(generation)

    order = [visitor for visitor, _ in reading.pieces]
    assert order.index("other") <= 1
    assert reading.pieces.index(("hog", 20)) <= 6, "nor is it kept behind its own visitor's long ones"


def test_visitors_prompts_are_read_in_turns(
    make_long: Callable[[], LocalEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_long()
    reading, pause = Reading(engine, monkeypatch), Pause(engine, monkeypatch)
    many = [ask(engine, "many", [number + 1] * 1000) for number in range(3)]
    one = ask(engine, "one", [77] * 1000)
    pause.end()
    for generation in [*many, one]:
        finished(generation)

    order = [visitor for visitor, _ in reading.pieces]
    assert order[:8].count("one") == 4, "as often as the other, until all of it is read"


@pytest.mark.parametrize("seed", [None, 5])
def test_a_prompt_that_several_ask_for_at_once_is_read_once(
    make_long: Callable[[], LocalEngine], monkeypatch: pytest.MonkeyPatch, seed: int | None
) -> None:
    engine = make_long()
    prompt = [number % 700 for number in range(1000)]
    alone = tokens_of(ask(make_long(), "alone", prompt, seed=seed))
    reading, pause = Reading(engine, monkeypatch), Pause(engine, monkeypatch)
    generations = [ask(engine, f"visitor {number}", prompt, seed=seed) for number in range(4)]
    pause.end()
    tokens = [tokens_of(generation) for generation in generations]

    assert tokens == [alone] * 4
    assert {visitor for visitor, count in reading.pieces[:3] if count == PIECE} == {"visitor 0"}, "so it lies together"
    read = sum(count for _, count in reading.pieces)
    each = BLOCK if seed is None else PIECE  # left to read by everybody: the last block, or the last piece
    assert read <= len(prompt) + 3 * each
    assert engine.load().idle_tokens <= len(prompt) + 4 * (each + BLOCK), "it stands in memory once"


def test_a_seeded_reply_is_the_same_whatever_was_read_before(make_long: Callable[[], LocalEngine]) -> None:
    """Blocks that others left, with or without a seed, read in other pieces or written token by token."""
    prompt = [number % 700 for number in range(700)]

    def write(engine: LocalEngine) -> Sequence[int]:
        sampling = RANDOM.model_copy(update={"seed": 3, "max_new_tokens": 40})
        return tokens_of(engine.generate(GenerationRequest([], sampling, prompt=prompt)))

    alone = write(make_long())
    engine = make_long()
    ask(engine, "before", prompt[:333]).cancel()
    finished(ask(engine, "shorter", prompt[:333], max_new_tokens=200))
    finished(ask(engine, "longer", [*prompt, 1, 2, 3]))
    finished(ask(engine, "seeded", prompt[:600], seed=1))
    others = [ask(engine, f"beside {number}", prompt[: 400 + number]) for number in range(5)]

    assert write(engine) == alone
    for other in others:
        other.cancel()


def tensors_bytes() -> int:
    """Memory of all tensors there are, each storage once."""
    tensors = [one for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter)]
    storages = [tensor.untyped_storage() for tensor in tensors if tensor.layout == torch.strided]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


Requests = st.lists(
    st.tuples(st.integers(1, 200), st.integers(1, 50), st.integers(0, 3), st.booleans(), st.booleans()),
    min_size=1,
    max_size=8,
)
"""Length of the prompt, longest reply, which beginning it has, with a seed or not, cancelled or not."""


def test_a_seeded_reply_uses_whole_pieces_of_others_or_none(make_long: Callable[[], LocalEngine]) -> None:
    """What is left of a piece would be read in another way than all of it."""
    engine = make_long()
    prompt = [number % 700 for number in range(700)]

    def reused() -> int:
        sampling = RANDOM.model_copy(update={"seed": 3})
        return finished(engine.generate(GenerationRequest([], sampling, prompt=prompt))).reused_tokens

    first, again = reused(), reused()
    pool = engine._worker._computer.pool
    pool._forget(list(pool._idle)[-20])  # a block in the middle of the second piece

    assert (first, again) == (0, 2 * PIECE)
    assert reused() == PIECE


@pytest.fixture(params=["local", "plain"])
def small_engine(make_engine: EngineFactory, request: pytest.FixtureRequest) -> tuple[LocalEngine, int]:
    """With room for a few requests, and what all tensors take before any was made."""
    engine = make_engine(engine=request.param, cache_gb=40 * BLOCK * 2048 / 1e9, max_queue=100)
    finished(engine.generate(GenerationRequest([], GREEDY, prompt=[1, 2, 3])))
    return engine, tensors_bytes()


@settings(max_examples=15, deadline=None, database=None)
@given(requests=Requests)
def check_account(engine: LocalEngine, before: int, requests: list[tuple[int, int, int, bool, bool]]) -> None:
    generations = []
    for length, longest, beginning, with_seed, cancelled in requests:
        sampling = GREEDY.model_copy(update={"max_new_tokens": longest, "seed": 1 if with_seed else None})
        prompt = [beginning] * (length // 2) + list(range(length - length // 2))
        generation = engine.generate(GenerationRequest([], sampling, str(beginning), prompt=prompt))
        generations.append((generation, len(prompt) + longest))
        if cancelled:
            generation.cancel()
    for number, (generation, _) in enumerate(generations):
        for _ in generation:
            load = engine.load()
            assert load.used_tokens + load.idle_tokens <= load.capacity_tokens
        if number in (0, len(generations) - 1):  # while others are written, and at the end
            held = tensors_bytes() - before
            assert held < 2**20, f"{held} bytes more than at start"
    assert engine.load().used_tokens == 0


def test_the_account_is_the_memory(small_engine: tuple[LocalEngine, int]) -> None:
    """Keys and values are reserved once, and nothing is held beside them, whatever is asked for."""
    engine, before = small_engine
    runner = engine._worker._runner
    pool = runner._attention.states if isinstance(runner, LlamaRunner) else runner._pool  # type: ignore[attr-defined]

    assert pool.untyped_storage().nbytes() == engine.load().capacity_tokens * runner.bytes_per_token
    check_account(engine, before)


def test_a_lost_device_is_told_and_not_asked_again(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.failure is None

    def lost(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(engine._worker._runner, "prefill", lost)
    monkeypatch.setattr(torch, "ones", lost)
    with pytest.raises(EngineError):
        list(engine.generate(GenerationRequest([], GREEDY, prompt=[1, 2])))

    assert engine.failure is not None
    assert "Restart" in engine.failure
    with pytest.raises(EngineNotReadyError, match="Restart"):
        engine.generate(GenerationRequest([], GREEDY, prompt=[1, 2]))


def test_an_engine_whose_every_reply_fails_says_so_until_one_succeeds(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def failing(*_: object, **__: object) -> torch.Tensor:
            raise ArithmeticError("boom")

        patch.setattr(engine._worker._runner, "prefill", failing)
        for count in range(FAILURES_IN_A_ROW):
            assert (engine.failure is None) is (count < FAILURES_IN_A_ROW), count
            with pytest.raises(EngineError):
                list(engine.generate(GenerationRequest([], GREEDY, prompt=[1, 2])))
        assert engine.failure is not None

    finished(engine.generate(GenerationRequest([], GREEDY, prompt=[1, 2])))
    assert engine.failure is None


@pytest.mark.parametrize(("error", "ours"), [(SamplingError, False), (NotNumbersError, True)])
def test_requests_that_cannot_be_fulfilled_do_not_make_the_engine_look_broken(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, error: type[SamplingError], ours: bool
) -> None:
    monkeypatch.setattr("components.engine.local.computing.choose", lambda *_: [error("no token")])
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(EngineError, match="no token"):
            list(engine.generate(GenerationRequest([], GREEDY, prompt=[1, 2])))

    assert (engine.failure is not None) is ours


def test_nothing_slow_happens_while_a_cancel_waits(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop cancels: it must get the lock while the model runs and while memory is found."""
    worker = engine._worker
    free: list[bool] = []

    def look(action: Callable[..., object]) -> Callable[..., object]:
        def looking(*arguments: object, **options: object) -> object:
            def try_lock() -> None:
                if got := worker._changed.acquire(blocking=False):
                    worker._changed.release()
                free.append(got)

            thread = threading.Thread(target=try_lock)
            thread.start()
            thread.join()
            return action(*arguments, **options)

        return looking

    for owner, names in (
        (worker._runner, ("prefill", "decode")),
        (worker._computer.pool, ("allocate", "release", "share")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, look(getattr(owner, name)))
    for _ in range(2):
        finished(engine.generate(GenerationRequest([], GREEDY, prompt=LONG[:100])))

    assert len(free) > 30
    assert all(free)
