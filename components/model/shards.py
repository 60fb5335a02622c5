"""Weights to disk shard by shard, so that a model never is in memory as a whole."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from components.checkpoints.errors import CheckpointError

SHARD_BYTES = 2_000_000_000
"""Twice the largest matrix of a 7B model (the head, 1 GB), so that shards come out full; little enough for what waits
to be written to fit into the memory of a small machine."""

OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How the library tells what the system said."""

INDEX = "model.safetensors.index.json"


def write_shards(
    weights: Iterable[tuple[str, torch.Tensor]], folder: Path, shard_bytes: int = SHARD_BYTES
) -> torch.dtype:
    """Write ``.safetensors`` shards of at most ``shard_bytes`` (or of one larger weight), and their index.

    Returns:
        The type that most of the weights have.

    Raises:
        OSError: the system refuses to write a shard.
        CheckpointError: a shard could not be written for another reason.
    """
    shards: list[list[str]] = []
    waiting: dict[str, torch.Tensor] = {}
    written: Counter[torch.dtype] = Counter()  # bytes

    def write() -> None:
        shards.append(list(waiting))
        try:
            save_file(waiting, folder / f"{len(shards)}.safetensors", metadata={"format": "pt"})
        except SafetensorError as error:
            if told := OS_ERROR.search(str(error)):
                raise OSError(int(told[1]), os.strerror(int(told[1])), str(folder)) from error
            raise CheckpointError(f"The weights could not be written: {error}. Make room, and run again.") from error
        waiting.clear()

    for name, weight in weights:
        if waiting and sum(tensor.nbytes for tensor in waiting.values()) + weight.nbytes > shard_bytes:
            write()
        waiting[name] = weight.contiguous()
        written[weight.dtype] += weight.nbytes
    write()

    shard = f"model-{{:05}}-of-{len(shards):05}.safetensors"  # how many there are is known only now
    weight_map = {name: shard.format(number) for number, names in enumerate(shards, start=1) for name in names}
    index = {"metadata": {"total_size": written.total()}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    for number in range(1, len(shards) + 1):
        file = (folder / f"{number}.safetensors").rename(folder / shard.format(number))
        shutil.copymode(folder / INDEX, file)  # the library lets nobody else read it
    return written.most_common(1)[0][0]
