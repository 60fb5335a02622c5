"""Which checkpoint runs: the one that the settings name, else a Baichuan 2 that was fetched, else the demo model."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from components.checkpoints.content import read_json_object
from components.checkpoints.errors import CheckpointError, IncompleteCheckpointError, LoadError
from components.checkpoints.foreign import explain_foreign, quantization_of
from components.checkpoints.weight_files import WHOLE_WEIGHTS, weight_files
from components.settings import Settings

DEMO_NAME = "SmolLM2-135M-Instruct"


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
        IncompleteCheckpointError: it does not; the text names what is missing, or what the folder holds instead.
    """
    if folder.is_file():
        raise IncompleteCheckpointError("it is a file. Name the folder that holds config.json and the weights.")
    if not folder.is_dir():
        raise IncompleteCheckpointError("there is no such folder.")
    if not (folder / "config.json").is_file():
        raise IncompleteCheckpointError(
            explain_foreign(folder)
            or "it has no config.json, so it is not a checkpoint. Name a model's folder, or run: python download.py"
        )
    if not weight_files(folder):
        raise IncompleteCheckpointError(
            explain_foreign(folder)
            or f"it has no weights: {' or '.join(WHOLE_WEIGHTS)}, or shards with an index. Run: python download.py"
        )


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
    """The best whole Baichuan 2 in the models folder: unquantized, made for chatting, and the newest."""
    if not models_dir.is_dir():
        return None
    candidates = []
    for folder in models_dir.iterdir():
        if folder.name.startswith(".") or not is_complete(folder):  # what is being fetched lies in a folder with a dot
            continue
        with contextlib.suppress(LoadError):
            config = read_json_object(folder / "config.json")
            if config.get("model_type") == "baichuan":
                plain = quantization_of(folder, config) is None
                candidates.append((plain, "chat" in folder.name.lower(), folder.stat().st_mtime, folder))
    return _checkpoint(max(candidates)[-1]) if candidates else None
