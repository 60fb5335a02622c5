"""What readers cost each other: seeds, long prompts beside short ones, and prompts that several ask for at once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from transformers import PreTrainedTokenizerBase

from bench.grid import GRID, batch_and_sheet
from bench.kept_scores import step_with_scores, steps_without_and_with
from bench.loading import load_engine, load_tokenizer
from bench.process import in_ended_thread, spawn
from bench.questions import passage, question
from bench.targets import SAMPLING
from components.checkpoints.locate import Checkpoint
from components.engine.events import Finished
from components.engine.interface import Engine, GenerationRequest
from components.engine.local.engine import LocalEngine
from components.model.chat_format import Message
from components.settings import Settings

STEPS = 160
"""Of the replies whose steps are timed."""

LONG_PROMPT, SHARED_PROMPT = 1400, 1000
"""Tokens."""

HOGS, SHARERS = 4, 4
"""So many long prompts one visitor sends at once; so many ask with the same beginning."""

SEEDS = "tokens/s of {readers}, without seeds and with"
FAIRNESS = f"s to the first token of a short question, alone and beside {HOGS} prompts of {LONG_PROMPT:,} of another's"
SHARED = f"s to the first token of all who ask with the same {SHARED_PROMPT:,}, one and {SHARERS} at once"
HELD = f"tokens held for the same {SHARED_PROMPT:,}, one and {SHARERS} at once"


@dataclass(frozen=True)
class Pair:
    """The same figure twice in one round: ``before`` and ``after`` what ``what`` names."""

    what: str
    round: int
    before: float
    after: float


@dataclass(frozen=True)
class PairSummary:
    """Medians over the rounds; ``ratio`` is of after over before."""

    before: float
    after: float
    ratio: float


def summarize(pairs: Sequence[Pair]) -> PairSummary:
    """Of one ``what``."""
    return PairSummary(
        median(pair.before for pair in pairs),
        median(pair.after for pair in pairs),
        median(pair.after / pair.before for pair in pairs),
    )


def seeds(readers: int) -> str:
    """What a pair with so many seeded readers is called."""
    return SEEDS.format(readers="one reader" if readers == 1 else f"{readers} readers")


def measure_neighbours(
    settings: Settings, checkpoint: Checkpoint, users: Sequence[int], reply_tokens: int, rounds: int
) -> list[Pair]:
    """Load an engine in a process of its own and ask it."""
    with spawn() as process:
        return process.submit(_load_and_measure, settings, checkpoint, users, reply_tokens, rounds).result()


def _load_and_measure(
    settings: Settings, checkpoint: Checkpoint, users: Sequence[int], reply_tokens: int, rounds: int
) -> list[Pair]:
    engine = in_ended_thread(lambda: load_engine(settings, checkpoint))
    try:
        return list(pairs_of(engine, load_tokenizer(checkpoint), users, reply_tokens, rounds))
    finally:
        engine.close()


def pairs_of(
    engine: LocalEngine, tokenizer: PreTrainedTokenizerBase, users: Sequence[int], reply_tokens: int, rounds: int
) -> Iterator[Pair]:
    """All pairs of each round. A first reply, in which memory is taken, does not count."""
    _ask(engine, [question(0, "Warm-up")], ["warm-up"], reply_tokens)
    for number in range(rounds):
        for readers in users:
            speeds = []
            for seeded in (False, True):
                asked = [question(reader, f"Seeds {number} {readers} {seeded}") for reader in range(readers)]
                names = [f"reader {reader}" for reader in range(readers)]
                began = perf_counter()
                ends = _ask(engine, asked, names, reply_tokens, seed=number if seeded else None)
                speeds.append(sum(end.completion_tokens for end in ends) / (perf_counter() - began))
            yield Pair(seeds(readers), number, *speeds)
            steps = steps_without_and_with(engine, readers, STEPS, f"Scores {number} {readers}")
            yield Pair(step_with_scores(readers), number, *steps)
        yield Pair(FAIRNESS, number, *_first_tokens_beside_hogs(engine, tokenizer, number))
        yield from _shared(engine, tokenizer, number)
        yield Pair(GRID, number, *batch_and_sheet(engine, number))


def _first_tokens_beside_hogs(engine: Engine, tokenizer: PreTrainedTokenizerBase, number: int) -> tuple[float, float]:
    long = passage(tokenizer, LONG_PROMPT)
    hogs: list[list[Message]] = [[{"role": "user", "content": f"{number}.{hog} {long}"}] for hog in range(HOGS)]
    alone = _ask(engine, [question(0, f"Alone {number}")], ["short"], 1)[0]
    beside = _ask(engine, [*hogs, question(0, f"Beside {number}")], [*["hog"] * HOGS, "short"], 1)[-1]
    return _first(alone), _first(beside)


def _shared(engine: Engine, tokenizer: PreTrainedTokenizerBase, number: int) -> Iterator[Pair]:
    long = passage(tokenizer, SHARED_PROMPT)
    firsts, held = [], []
    for count in (1, SHARERS):
        asked: list[list[Message]] = [[{"role": "user", "content": f"{number}/{count} {long}"}]] * count
        before = engine.load().idle_tokens
        ends = _ask(engine, asked, [f"reader {reader}" for reader in range(count)], 2)
        firsts.append(max(_first(end) for end in ends))
        held.append(float(engine.load().idle_tokens - before))
    yield Pair(SHARED, number, *firsts)
    yield Pair(HELD, number, *held)


def _ask(
    engine: Engine, asked: Sequence[list[Message]], visitors: Sequence[str], longest: int, seed: int | None = None
) -> list[Finished]:
    """All at once, in this order."""
    sampling = SAMPLING.model_copy(update={"max_new_tokens": longest, "seed": seed})
    generations = [
        engine.generate(GenerationRequest(messages, sampling, visitor))
        for messages, visitor in zip(asked, visitors, strict=True)
    ]
    with ThreadPoolExecutor(len(generations)) as pool:
        ends = list(pool.map(lambda generation: list(generation)[-1], generations))
    return [end for end in ends if isinstance(end, Finished)]


def _first(end: Finished) -> float:
    assert end.time_to_first_token is not None
    return end.time_to_first_token
