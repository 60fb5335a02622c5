"""NVIDIA's cards, as their driver's own program tells of them, without torch; and which of them runs the model."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.engine.errors import EngineError

QUERY = ("nvidia-smi", "--query-gpu=uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits")
ANSWER_SECONDS = 30.0

CUDA = re.compile(r"cuda:(\d+)")
VISIBLE, ORDER, BY_BUS = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PCI_BUS_ID"
"""CUDA's variables for which cards a program sees, and how they are counted; and the order that nvidia-smi has."""


@dataclass(frozen=True)
class Gpu:
    """A card; ``total`` and ``free`` are its memory in MiB."""

    name: str
    total: int
    free: int
    uuid: str = ""


@dataclass(frozen=True)
class Card:
    """The card that runs the model, or the first part of it.

    Attributes:
        gpu: what is known of it; None if nothing is, as of a part of a card (MIG), or if there is none.
        environment: what tells CUDA to take it, where that is different from ours.
    """

    gpu: Gpu | None
    environment: Mapping[str, str]


def read_gpus() -> list[Gpu]:
    """The cards of this machine in the order of the bus; none where there is no driver, or it does not answer."""
    if shutil.which(QUERY[0]) is None:
        return []
    try:
        done = subprocess.run(QUERY, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
        return [_read(line) for line in done.stdout.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []


def _read(line: str) -> Gpu:
    uuid, rest = line.split(",", 1)
    name, total, free = rest.rsplit(",", 2)
    return Gpu(name.strip(), int(total), int(free), uuid.strip())


def card_of(device: str | None, gpus: Sequence[Gpu], environment: Mapping[str, str]) -> Card:
    """The card that a process started by this one is to use.

    Args:
        device: as the settings have it; ``cuda:1`` is the second of the cards that this process may use.
        gpus: the machine's.
        environment: this process's, which may leave only some of them, or order them otherwise.

    Raises:
        EngineError: the settings name a card that is not there.
    """
    visible = _visible(gpus, environment.get(VISIBLE))
    asked = CUDA.fullmatch(device or "")
    number = int(asked[1]) if asked else 0
    chosen = visible[number] if number < len(visible) else None
    if asked and chosen is None:
        if gpus or VISIBLE in environment:
            left = f"{VISIBLE}={environment[VISIBLE]} leaves" if VISIBLE in environment else "nvidia-smi shows"
            raise EngineError(
                f"BAICHUAN_DEVICE={device} is not there: {left} {len(visible)} of this machine's cards, and the "
                "first is cuda:0. Name another one."
            )
        chosen = asked[1]  # nothing is known of this machine
    gpu = None if chosen is None else _find(chosen, gpus, environment.get(ORDER, BY_BUS))
    different = {VISIBLE: chosen} if asked and chosen is not None else {}
    if (asked or gpu is not None) and ORDER not in environment:
        different[ORDER] = BY_BUS  # CUDA's own begins with the fastest
    return Card(gpu, different)


def _visible(gpus: Sequence[Gpu], told: str | None) -> list[str]:
    """The cards that CUDA shows, by number or name. It reads the list up to the first that is none."""
    if told is None:
        return [str(number) for number in range(len(gpus))]
    visible = []
    for name in map(str.strip, told.split(",")):
        is_number = name.isdecimal() and (not gpus or int(name) < len(gpus))
        if not is_number and not name.startswith(("GPU-", "MIG-")):
            break
        visible.append(name)
    return visible


def _find(name: str, gpus: Sequence[Gpu], order: str) -> Gpu | None:
    """The card of a number, or of a UUID or its beginning; None if it cannot be known which one that is."""
    if not name.isdecimal():
        found = [gpu for gpu in gpus if gpu.uuid.startswith(name)]
        return found[0] if len(found) == 1 else None
    is_counted_alike = order == BY_BUS or len({gpu.name for gpu in gpus}) == 1
    return gpus[int(name)] if is_counted_alike and int(name) < len(gpus) else None
