"""One run: which parts, how much of each, in which order."""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.busy import measure_busy
from bench.clicks import measure_clicks
from bench.conversations import KEPT, filled_databases, measure_conversations
from bench.estimates import measure_waits
from bench.history import measure_later_turns
from bench.lesser_cpu import avx2_targets, measure_avx2
from bench.llama_cpp import BEHIND, gguf_of, load_alone, load_behind
from bench.loading import load_application, load_in_float32, load_plain, load_tokenizer
from bench.looking import measure_looks
from bench.machine import AVX2, AVX512, describe_machine
from bench.memory import measure_peaks
from bench.neighbours import measure_neighbours
from bench.process import warm_targets
from bench.results import Results, Setup
from bench.server import environment
from bench.startup import SERVER, WITH_LLAMA_CPP, measure_starts
from bench.storing import measure_storing
from bench.targets import APPLICATION, OpenAITarget, Target, sampling_told
from bench.throughput import measure_throughput
from bench.websocket import measure_traffic
from components.checkpoints.locate import Checkpoint, find_checkpoint
from components.settings import Settings

logger = logging.getLogger(__name__)

CONVERSATIONS, GPU, LARGE = "conversations", "gpu", "large"

PARTS = ("start", "memory", "websocket", "throughput", "avx2", "load", "history", "neighbours", "waits", CONVERSATIONS)

PLACES = 4
"""Replies that are written at once where waiting is measured."""

NEIGHBOURS = (1, 4, 8)
"""So many readers, of those that are measured anyway, write with seeds."""

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    ``starts`` are rounds of their own; so many ``waiting_users`` ask for ``PLACES`` places; readers do each of their
    ``actions`` so often, among so many messages that are ``kept``, and click so many ``clicks`` in conversations of
    these ``lengths``; replies that are kept while they grow have so many ``stored_tokens``, those that are looked into
    ``looked_tokens``.
    """

    rounds: int = 3
    starts: int = 5
    traffic_tokens: Sequence[int] = (500, 1000, 2000)
    users: Sequence[int] = (1, 4, 8, 16)
    reply_tokens: int = 64
    histories: Sequence[int] = (0, 200, 700, 1400)
    waiting_users: int = 24
    kept: int = KEPT
    actions: int = 200
    stored_tokens: int = 192
    lengths: Sequence[int] = (10, 1000)
    clicks: int = 5
    looked_tokens: int = 2000


QUICK = Plan(1, 1, (100, 200), (1, 4), 16, (0, 200), 16, 4_000, 10, 16, (4, 40), 1, 40)
"""To see that everything runs; such figures mean little."""


def measure(
    plan: Plan, parts: Collection[str], settings: Settings, server: OpenAITarget | None, folder: Path
) -> Results:
    """Measure some of ``PARTS``.

    Args:
        plan: how much of each.
        parts: which.
        settings: the application's; they say which checkpoint, and how it runs. The engine is always local.
        server: an OpenAI-compatible server to measure as well.
        folder: for logs and state.
    """
    machine = describe_machine()
    checkpoint = find_checkpoint(settings)
    settings = settings.model_copy(update={"data_dir": folder / "data", "engine": "local"})
    envs = [environment(settings, checkpoint)]
    if file := gguf_of(checkpoint):
        in_llama_cpp = settings.model_copy(update={"engine": "llamacpp"})
        envs.append(environment(in_llama_cpp, replace(checkpoint, path=file)))
    results = Results(machine, Setup(checkpoint.name, sampling_told(), plan.rounds, PLACES, plan.kept))
    if "start" in parts:
        with part_of(results, "start"):
            servers = dict(zip((SERVER, WITH_LLAMA_CPP), envs, strict=False))
            results.starts += told(measure_starts(folder, servers, plan.starts))
    if "memory" in parts:
        with part_of(results, "memory"):
            servers = dict(zip((APPLICATION, BEHIND), envs, strict=False))
            results.peaks += told(measure_peaks(settings, checkpoint, folder, servers))
    if "websocket" in parts:
        with part_of(results, "websocket"):
            results.traffic += told(measure_traffic(new(folder / "websocket"), plan.traffic_tokens))
    if beside := [part for part in ("throughput", "history") if part in parts]:
        with part_of(results, *beside):
            _measure_targets(plan, beside, settings, checkpoint, server, results)
    if "avx2" in parts and machine.vectors == AVX512:
        with part_of(results, "avx2"), avx2_targets(settings, checkpoint, plan.reply_tokens) as targets:
            results.avx2 += told(measure_avx2(targets, plan.reply_tokens, plan.rounds))
            turns = measure_later_turns(targets, load_tokenizer(checkpoint), plan.histories[-1:], plan.rounds)
            results.avx2_turns += told(turns)
    if "load" in parts:
        with part_of(results, "load"):
            results.busy += told(measure_busy(settings, checkpoint, plan.reply_tokens, plan.rounds))
    if "neighbours" in parts:
        with part_of(results, "neighbours"):
            users = [count for count in plan.users if count in NEIGHBOURS]
            pairs = measure_neighbours(settings, checkpoint, users, plan.reply_tokens, plan.rounds)
            results.neighbours += told(pairs)
    if "waits" in parts:
        with part_of(results, "waits"):
            few = settings.model_copy(update={"max_batch": PLACES})
            results.waits += told(measure_waits(few, checkpoint, plan.waiting_users, plan.rounds))
    if CONVERSATIONS in parts:
        with part_of(results, CONVERSATIONS):
            with filled_databases(folder, plan.kept) as databases:
                results.actions += told(measure_conversations(databases, plan.actions))
                stored = measure_storing(settings, checkpoint, databases, plan.stored_tokens, plan.rounds)
                results.stored += told(stored)
            results.clicks += told(measure_clicks(new(folder / "clicks"), plan.lengths, plan.clicks))
            results.looks += told(measure_looks(new(folder / "looks"), plan.looked_tokens, plan.clicks))
    return results


def new(folder: Path) -> Path:
    """A folder of its own for a server's state: what another has kept is not measured with it."""
    folder.mkdir()
    return folder


def told(measurements: Iterable[Measured]) -> Iterator[Measured]:
    """Print each measurement as it comes."""
    for measured in measurements:
        text = str(measured)
        print(text if len(text) <= 200 else f"{text[:200]}…", flush=True)
        yield measured


@contextmanager
def part_of(results: Results, *parts: str) -> Iterator[None]:
    """Note how long something took, or that it failed: what else is measured is not lost by that."""
    began, before = time.monotonic(), [len(one) for one in results.measurements]
    try:
        yield
    except Exception:  # the edge of a part: whatever it was, the others go on
        logger.exception("Not measured: %s", ", ".join(parts))
        results.failed += parts
        for one, length in zip(results.measurements, before, strict=True):
            del one[length:]  # half of a part has no place in a table
    results.setup.seconds[" and ".join(parts)] = time.monotonic() - began


def _measure_targets(
    plan: Plan,
    parts: Collection[str],
    settings: Settings,
    checkpoint: Checkpoint,
    server: OpenAITarget | None,
    results: Results,
) -> None:
    loads = [load_plain, load_application, *([load_alone, load_behind] if gguf_of(checkpoint) else [])]
    if results.machine.vectors == AVX2:
        loads.append(load_in_float32)
    with warm_targets([(partial(load, settings, checkpoint), {}) for load in loads], plan.reply_tokens) as own:
        results.setup.dtypes.update({target.name: target.dtype for target in own})
        targets: list[Target] = [*own]
        if server is not None:
            server.warm_up(plan.reply_tokens)
            targets.append(server)
        if "throughput" in parts:
            results.crowds += told(measure_throughput(targets, plan.users, plan.reply_tokens, plan.rounds))
        if "history" in parts:
            tokenizer = load_tokenizer(checkpoint)
            results.later_turns += told(measure_later_turns(targets, tokenizer, plan.histories, plan.rounds))
