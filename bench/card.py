"""The device that readers are served on: how fast its memory is, and what a model takes of it and reads from it."""

import time
from dataclasses import dataclass
from statistics import median

import torch

from bench.shaped_checkpoint import Sizes
from components.model.devices import accelerator_dtype

COPIES = 20


@dataclass(frozen=True)
class Card:
    """A device, and what a step reads there.

    Attributes:
        name: the device's.
        cuda: the version that PyTorch was built for; None on a CPU.
        memory: in bytes; None on a CPU.
        bandwidth: bytes that are read or written in a second by copying.
        weight_bytes: read in each step.
        token_bytes: read in each step for each token that a reader has.
    """

    name: str
    cuda: str | None
    memory: int | None
    bandwidth: float
    weight_bytes: int
    token_bytes: int

    def most_tokens_per_second(self, readers: int, context: float) -> float:
        """If a step took no longer than reading takes, with so many tokens of each reader."""
        return readers * self.bandwidth / (self.weight_bytes + readers * context * self.token_bytes)


@dataclass(frozen=True)
class Loading:
    """What loading took; sizes in bytes.

    Attributes:
        weights: the model's when it is loaded.
        shard: the largest file that they were read from.
        peak: the most that the process held until then, beyond what it held before.
        seconds: how long it took.
    """

    weights: int
    shard: int
    peak: int
    seconds: float


def measure_card(device: str, sizes: Sizes, copied: int) -> Card:
    """Measure a device, "cuda" or "cpu", by copying so many bytes.

    Args:
        device: "cuda" for the first one, or "cpu".
        sizes: of the model.
        copied: bytes; more than caches hold.
    """
    on_gpu = torch.cuda.get_device_properties(0) if device == "cuda" else None
    itemsize = dtype_on(device).itemsize
    return Card(
        name=on_gpu.name if on_gpu else "CPU",
        cuda=torch.version.cuda if on_gpu else None,
        memory=on_gpu.total_memory if on_gpu else None,
        bandwidth=_copy_bandwidth(device, copied),
        weight_bytes=itemsize * sizes.weights_of_a_step,
        token_bytes=itemsize * 2 * sizes.num_hidden_layers * sizes.hidden_size,
    )


def dtype_on(device: str) -> torch.dtype:
    """In which type of number the model is run there."""
    return torch.float32 if device == "cpu" else accelerator_dtype(torch.device(device))


def _copy_bandwidth(device: str, copied: int) -> float:
    source = torch.ones(copied, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    seconds = []
    for _ in range(COPIES):
        _wait_for(device)
        began = time.perf_counter()
        target.copy_(source)
        _wait_for(device)
        seconds.append(time.perf_counter() - began)
    del source, target
    if device == "cuda":
        torch.cuda.empty_cache()  # for those in other processes
    return 2 * copied / median(seconds)


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
