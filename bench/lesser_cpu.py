"""A CPU with AVX-512 that does as if it had AVX2 only: what the engine writes there, beside its peers.

llama.cpp uses what it was built for, and cannot be told otherwise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from bench.llama_cpp import gguf_of, load_alone
from bench.loading import load_application, load_in_float32, load_plain
from bench.process import warm_targets
from bench.targets import Target
from bench.throughput import Crowd, measure_throughput
from components.checkpoints.locate import Checkpoint
from components.settings import Settings

AVX2_ONLY = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
"""For PyTorch's own kernels, and for the two libraries that multiply for it."""


@contextmanager
def avx2_targets(settings: Settings, checkpoint: Checkpoint, reply_tokens: int) -> Iterator[Sequence[Target]]:
    """The plain loop first, as it is now and was; closed at the end."""
    loads = [load_plain, load_in_float32, load_application, *([load_alone] if gguf_of(checkpoint) else [])]
    with warm_targets([(partial(load, settings, checkpoint), AVX2_ONLY) for load in loads], reply_tokens) as targets:
        yield targets


def measure_avx2(targets: Sequence[Target], reply_tokens: int, rounds: int) -> Iterator[Crowd]:
    """As ``measure_throughput``, for one reader and for eight.

    The plain loop is asked by one only: it serves one after the other, and with eight would take half of the time.
    """
    yield from measure_throughput(targets, (1,), reply_tokens, rounds)
    yield from measure_throughput(targets[1:], (8,), reply_tokens, rounds)
