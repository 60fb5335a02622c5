"""Which checkpoint runs: the one that the settings name, else a Baichuan 2 that was fetched, else the demo model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.checkpoints.errors import CheckpointError, IncompleteCheckpointError
from components.settings import Settings

DEMO_NAME = "SmolLM2-135M-Instruct"
WHOLE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
WEIGHT_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on disk; ``name`` is for people to read."""

    path: Path
    name: str
    is_demo: bool


def find_checkpoint(settings: Settings) -> Checkpoint:
    """The checkpoint to serve.

    Raises:
        CheckpointError: the folder in ``BAICHUAN_MODEL`` is not whole, or there is no checkpoint at all.
    """
    if settings.model is not None:
        path = settings.model.expanduser()
        try:
            check_complete(path)
        except IncompleteCheckpointError as error:
            raise CheckpointError(f"BAICHUAN_MODEL={path} cannot be used: {error}") from error
        return _checkpoint(path)
    if found := _fetched_baichuan(settings.models_dir):
        return found
    demo = settings.models_dir / DEMO_NAME
    if is_complete(demo):
        return _checkpoint(demo)
    raise CheckpointError(
        f"There is no checkpoint in {settings.models_dir}. "
        "Run: python download.py   (or, for the small demo model: python download.py --source demo)"
    )


def check_complete(folder: Path) -> None:
    """See that a folder holds everything a checkpoint needs.

    Raises:
        IncompleteCheckpointError: it does not; the text names what is missing.
    """
    if not folder.is_dir():
        raise IncompleteCheckpointError("there is no such folder.")
    if not (folder / "config.json").is_file():
        raise IncompleteCheckpointError("it has no config.json, so it is not a checkpoint.")
    if any((folder / name).is_file() for name in WHOLE_WEIGHTS):
        return
    shards = {shard for name in WEIGHT_INDEXES if (folder / name).is_file() for shard in _shards(folder / name)}
    if not shards:
        raise IncompleteCheckpointError(
            f"it has no weights: {' or '.join(WHOLE_WEIGHTS)}, or shards with an index. Run: python download.py"
        )
    if absent := sorted(shard for shard in shards if not (folder / shard).is_file()):
        raise IncompleteCheckpointError(
            f"it lacks {len(absent)} of {len(shards)} weight files, {absent[0]} first. "
            "Fetch it again: python download.py"
        )


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a whole checkpoint, in the order in which transformers looks for them."""
    for whole, index in zip(WHOLE_WEIGHTS, WEIGHT_INDEXES, strict=True):
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            return [folder / shard for shard in sorted(_shards(folder / index))]
    return []


def is_complete(folder: Path) -> bool:
    """Whether ``check_complete`` has nothing to say."""
    try:
        check_complete(folder)
    except IncompleteCheckpointError:
        return False
    return True


def _checkpoint(path: Path) -> Checkpoint:
    name = path.resolve().name
    return Checkpoint(path, name, is_demo=name == DEMO_NAME)


def _fetched_baichuan(models_dir: Path) -> Checkpoint | None:
    """The best whole Baichuan 2 in the models folder: one made for chatting first, then the newest."""
    if not models_dir.is_dir():
        return None
    candidates = [
        folder
        for folder in models_dir.iterdir()
        # What is being fetched lies in a folder with a dot.
        if not folder.name.startswith(".") and is_complete(folder) and _model_type(folder) == "baichuan"
    ]
    candidates.sort(key=lambda folder: ("chat" in folder.name.lower(), folder.stat().st_mtime))
    return _checkpoint(candidates[-1]) if candidates else None


def _model_type(folder: Path) -> Any:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None


def _shards(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IncompleteCheckpointError(
            f"{index.name} cannot be read ({error}). Fetch it again: python download.py"
        ) from error
