"""``python -m bench --gpu``: tokens/s of 1, 8 and 32 readers on a GPU, beside transformers' ``generate`` with a batch.

The model has Baichuan 2 7B's shape and random weights, since speed does not depend on what they are. A step reads all
weights, and everybody's keys and values, at least once: so the bandwidth, measured in the same run, says what would be
the most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from bench.card import dtype_on, measure_card
from bench.machine import describe_machine
from bench.process import Loaded, ProcessTarget
from bench.questions import question
from bench.results import Results, Setup
from bench.run import GPU, part_of, told
from bench.shaped_checkpoint import Sizes, build_shaped
from bench.targets import BatchTarget, EngineTarget, sampling_told
from bench.throughput import measure_throughput
from components.engine.local.loading import build_engine
from components.settings import Settings


@dataclass(frozen=True)
class GpuPlan:
    """How much is measured; ``copied`` bytes are copied for the bandwidth."""

    sizes: Sizes = field(default_factory=Sizes)
    readers: Sequence[int] = (1, 8, 32)
    reply_tokens: int = 256
    rounds: int = 3
    copied: int = 2**30


QUICK_GPU = GpuPlan(Sizes(64, 172, 3, 4, 5000), (1, 3), 8, 1, 2**24)
"""To see that it runs, without a GPU, too; such figures mean nothing."""


def measure_gpu(plan: GpuPlan, settings: Settings, folder: Path) -> Results:
    """Measure the first GPU; where there is none, the CPU.

    Args:
        plan: how much.
        settings: the application's; the engine is local, and has places for all readers.
        folder: for state.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    places = max(plan.readers)
    settings = settings.model_copy(update={"data_dir": folder / "data", "engine": "local", "max_batch": places})
    setup = Setup(plan.sizes.described, sampling_told(), plan.rounds, places, 0)
    results = Results(describe_machine(), setup)
    (results.card,) = told([measure_card(device, plan.sizes, plan.copied)])
    with part_of(results, GPU):
        for load in (partial(_load_generate, plan.sizes, device), partial(_load_engine, plan.sizes, device, settings)):
            # One after the other: there is no room for two such models on many a card.
            target = ProcessTarget(load)
            try:
                setup.dtypes[target.name] = target.dtype
                for readers in plan.readers:  # the first time libraries choose kernels, and graphs are captured
                    warm_up = [question(reader, "Warm-up") for reader in range(readers)]
                    target.answer_at_once(warm_up, plan.reply_tokens)
                results.crowds += told(measure_throughput([target], plan.readers, plan.reply_tokens, plan.rounds))
            finally:
                target.close()
    return results


# What follows runs in processes of their own.


def _load_generate(sizes: Sizes, device: str) -> Loaded:
    model, tokenizer = build_shaped(sizes, dtype_on(device), device)
    return Loaded(BatchTarget(model, tokenizer), str(model.dtype).removeprefix("torch."))


def _load_engine(sizes: Sizes, device: str, settings: Settings) -> Loaded:
    model, tokenizer = build_shaped(sizes, dtype_on(device), device)
    engine = build_engine(model, tokenizer, settings, "random weights")
    return Loaded(EngineTarget(engine), engine.info.dtype, engine.close)
