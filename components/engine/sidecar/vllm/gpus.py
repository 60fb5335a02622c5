"""NVIDIA's cards, as their driver's own program tells of them, without torch."""

import shutil
import subprocess
from dataclasses import dataclass

QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Gpu:
    """A card; ``total`` and ``free`` are its memory in MiB."""

    name: str
    total: int
    free: int


def read_gpus() -> list[Gpu]:
    """The cards of this machine in the driver's order; none where there is no driver, or it does not answer."""
    if shutil.which(QUERY[0]) is None:
        return []
    try:
        done = subprocess.run(QUERY, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
        rows = [line.rsplit(",", 2) for line in done.stdout.splitlines() if line.strip()]
        return [Gpu(name.strip(), int(total), int(free)) for name, total, free in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
