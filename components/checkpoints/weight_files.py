"""The files that hold a checkpoint's weights: one file, or shards with an index, or shards that lost theirs."""

import re
from pathlib import Path

from components.checkpoints.content import CURE, explain_place, read_json_object
from components.checkpoints.errors import IncompleteCheckpointError, LoadError

WHOLE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
SHARD = re.compile(r"(model|pytorch_model)-(\d{5})-of-(\d{5})\.(safetensors|bin)")


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a checkpoint: the first complete form, in the order in which transformers looks for them.

    Returns:
        Nothing if there are no weights at all.

    Raises:
        IncompleteCheckpointError: there are some, but not all; the text names what is missing.
    """
    problem: IncompleteCheckpointError | None = None
    for whole in WHOLE_WEIGHTS:
        if (folder / whole).is_file():
            return [folder / whole]
        try:
            if shards := _shards(folder, whole):
                return shards
        except IncompleteCheckpointError as error:
            problem = problem or error
    if problem:
        raise problem
    for whole in WHOLE_WEIGHTS:
        for name in (whole, f"{whole}.index.json"):
            if wrong := explain_place(folder / name):
                raise IncompleteCheckpointError(wrong)
    return []


def _shards(folder: Path, whole: str) -> list[Path]:
    """The shards in place of the file ``whole``, all of which are there; nothing if there are none."""
    index = folder / f"{whole}.index.json"
    names = _indexed(index) if index.is_file() else _numbered(folder, whole)
    if absent := sorted(name for name in names if not (folder / name).is_file()):
        raise IncompleteCheckpointError(
            f"it lacks {len(absent)} of {len(names)} weight files, {absent[0]} first. "
            + (explain_place(folder / absent[0]) or "Fetch it again: python download.py")
        )
    return [folder / name for name in sorted(names)]


def _indexed(index: Path) -> set[str]:
    """The names that an index gives."""
    try:
        weight_map = read_json_object(index).get("weight_map")
    except LoadError as error:
        raise IncompleteCheckpointError(str(error)) from error
    if not isinstance(weight_map, dict) or not weight_map:
        raise IncompleteCheckpointError(f"{index.name} has no weight_map, which names the weight files. {CURE}")
    names = set()
    for name in weight_map.values():
        # An index is somebody else's: it may name files of this folder, and no others.
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise IncompleteCheckpointError(f"{index.name} names {name!r}, which is no file of this folder. {CURE}")
        names.add(name)
    return names


def _numbered(folder: Path, whole: str) -> set[str]:
    """All the names of a set of shards without an index, of which at least one is there."""
    stem, _, suffix = whole.rpartition(".")
    for file in sorted(folder.glob(f"{stem}-*-of-*.{suffix}")):
        if (match := SHARD.fullmatch(file.name)) and int(match[3]) < 1000:
            return {f"{stem}-{number:05}-of-{match[3]}.{suffix}" for number in range(1, int(match[3]) + 1)}
    return set()
