"""``python -m bench --large``: a model as large as Baichuan 2 7B on the CPU, where it would not fit in float32.

How much memory it takes until it is loaded, beside its final weights, and how fast replies are written, beside what
the memory's bandwidth allows. The weights are random, since neither depends on what they are.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil

from bench.card import Loading, measure_card
from bench.loading import load_weights
from bench.machine import describe_machine
from bench.memory import peak_of
from bench.process import in_ended_thread, spawn
from bench.results import Results, Setup
from bench.run import LARGE, part_of, told
from bench.shaped_checkpoint import Sizes, write_checkpoint
from bench.targets import APPLICATION, EngineTarget, sampling_told
from bench.throughput import Crowd, measure_throughput
from components.checkpoints.locate import Checkpoint
from components.checkpoints.weight_files import weight_files
from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.shards import SHARD_BYTES
from components.settings import Settings


@dataclass(frozen=True)
class LargePlan:
    """How much is measured; ``copied`` bytes are copied for the bandwidth."""

    sizes: Sizes = field(default_factory=Sizes)
    shard_bytes: int = SHARD_BYTES
    readers: Sequence[int] = (1, 8)
    reply_tokens: int = 32
    rounds: int = 3
    copied: int = 2**30


QUICK_LARGE = LargePlan(Sizes(64, 172, 3, 4, 5000), 2**20, (1, 3), 8, 1, 2**24)
"""To see that it runs; such figures mean nothing."""


def measure_large(plan: LargePlan, settings: Settings, folder: Path) -> Results:
    """Write such a checkpoint, load it in a process of its own, and ask it.

    Args:
        plan: how much.
        settings: the application's; the engine is local, on the CPU.
        folder: for the checkpoint and state: 15 GB in the full size.
    """
    settings = settings.model_copy(update={"data_dir": folder / "data", "engine": "local", "device": "cpu"})
    machine = describe_machine()
    model = folder / "model"
    write_checkpoint(model, plan.sizes, plan.shard_bytes)
    results = Results(machine, Setup(plan.sizes.described, sampling_told(), plan.rounds, settings.max_batch, 0))
    with part_of(results, LARGE), spawn() as process:
        loading = process.submit(_load, settings, Checkpoint(model, "random weights", is_demo=False))
        results.loading, dtype = loading.result()
        results.setup.dtypes[APPLICATION] = dtype
        card = measure_card("cpu", plan.sizes, plan.copied)
        if dtype.endswith("int8"):  # a byte each, and keys and values in bfloat16
            card = replace(card, weight_bytes=plan.sizes.weights_of_a_step, token_bytes=card.token_bytes // 2)
        (results.card,) = told([card])
        results.crowds += told(process.submit(_ask, plan).result())
    return results


# What follows runs in the engine's process.

_engine: list[LocalEngine] = []


def _load(settings: Settings, checkpoint: Checkpoint) -> tuple[Loading, str]:
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    engine, weights = in_ended_thread(partial(_load_engine, settings, checkpoint))
    seconds = time.perf_counter() - began
    _engine.append(engine)
    shard = max(file.stat().st_size for file in weight_files(checkpoint.path))
    return Loading(weights, shard, peak_of("self") - before, seconds), engine.info.dtype


def _load_engine(settings: Settings, checkpoint: Checkpoint) -> tuple[LocalEngine, int]:
    """The engine as the server loads it, and how many bytes its model's weights have."""
    model, tokenizer = load_weights(settings, checkpoint)
    weights = sum(weight.nbytes for weight in (*model.parameters(), *model.buffers()))
    return build_engine(model, tokenizer, settings, checkpoint.name), weights


def _ask(plan: LargePlan) -> list[Crowd]:
    target = EngineTarget(_engine[0])
    target.warm_up(plan.reply_tokens)
    return list(measure_throughput([target], plan.readers, plan.reply_tokens, plan.rounds))
