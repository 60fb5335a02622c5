"""Which checkpoint runs: the one that the settings name, else a Baichuan 2 that was fetched, else the demo model.

A checkpoint is a folder that transformers reads, or a GGUF file, which llama.cpp reads.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from components.checkpoints.content import explain_place, read_json_object
from components.checkpoints.errors import CheckpointError, IncompleteCheckpointError, LoadError
from components.checkpoints.foreign import explain_foreign, quantization_of
from components.checkpoints.gguf import read_header
from components.checkpoints.gguf_checks import SPLIT, check_usable, tells_how_to_chat
from components.checkpoints.weight_files import WHOLE_WEIGHTS, weight_files
from components.settings import Settings

DEMO_NAME = "SmolLM2-135M-Instruct"
DEMO_GGUF = f"{DEMO_NAME}.Q4_1.gguf"
"""The file in the demo model's folder that llama.cpp reads."""

GGUF = ".gguf"


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on disk, a folder or a GGUF file; ``name`` is for people to read."""

    path: Path
    name: str
    is_demo: bool

    @property
    def is_gguf(self) -> bool:
        """Whether it is llama.cpp that reads it."""
        return self.path.suffix.lower() == GGUF


def find_checkpoint(settings: Settings) -> Checkpoint:
    """The checkpoint to serve.

    Raises:
        CheckpointError: what ``BAICHUAN_MODEL`` names is not whole, or there is no checkpoint at all.
    """
    if settings.engine == "llamacpp":
        return _find_gguf(settings)
    if settings.model is not None:
        path = settings.model
        if path.suffix.lower() == GGUF or (path.is_dir() and not (path / "config.json").exists() and gguf_files(path)):
            return _named_gguf(path)
        try:
            check_complete(path)
        except IncompleteCheckpointError as error:
            raise CheckpointError(f"BAICHUAN_MODEL={path} cannot be used: {error}") from error
        return _checkpoint(path)
    if found := _fetched_baichuan(settings.models_dir):
        return found
    if settings.engine != "vllm" and (found := _best_gguf(settings.models_dir)):
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
            explain_place(folder / "config.json")
            or explain_foreign(folder)
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
    except (IncompleteCheckpointError, OSError):  # lost+found belongs to root
        return False
    return True


def gguf_files(folder: Path) -> list[Path]:
    """The models in a folder's GGUF files, by name; of one in several files the first."""
    files = sorted(file for file in folder.glob(f"*{GGUF}") if not file.name.startswith("."))
    return [file for file in files if (part := SPLIT.fullmatch(file.name)) is None or int(part[2]) == 1]


def _find_gguf(settings: Settings) -> Checkpoint:
    """What llama.cpp is to serve, where the settings ask for it."""
    if settings.model is not None:
        return _named_gguf(settings.model)
    if found := _best_gguf(settings.models_dir):
        return found
    demo = settings.models_dir / DEMO_NAME / DEMO_GGUF
    if not demo.is_file():
        raise CheckpointError(
            f"BAICHUAN_ENGINE=llamacpp needs a GGUF file, and there is none in {settings.models_dir}. Write one of a "
            "checkpoint that is there: python download.py --model FOLDER --export-gguf FILE   (or, for the small demo "
            "model: python download.py --source demo)"
        )
    read_header(demo)
    return Checkpoint(demo, DEMO_NAME, is_demo=True)


def _named_gguf(path: Path) -> Checkpoint:
    """The GGUF file that the settings name, or the one in the folder that they name."""
    if path.is_dir():
        files = gguf_files(path)
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise CheckpointError(f"BAICHUAN_MODEL={path} cannot be used: of its GGUF files ({names}) name one.")
        path = files[0]
    if not path.is_file():
        raise CheckpointError(
            f"BAICHUAN_MODEL={path} cannot be used: {explain_place(path) or 'there is no such file.'}"
        )
    try:
        check_usable(path, read_header(path))
    except LoadError as error:
        raise CheckpointError(f"BAICHUAN_MODEL={path} cannot be used: {error}") from error
    return _gguf(path)


def _best_gguf(models_dir: Path) -> Checkpoint | None:
    """The best usable GGUF file in the models folder: of Baichuan, made for chatting, and the newest."""
    candidates = []
    for file in gguf_files(models_dir):
        with contextlib.suppress(LoadError):
            header = read_header(file)
            check_usable(file, header)
            if not tells_how_to_chat(header):
                continue
            name = f"{file.name} {header.values.get('general.name')} {header.architecture}".lower()
            made_for_chatting = "chat" in name or "instruct" in name
            candidates.append(("baichuan" in name, made_for_chatting, file.stat().st_mtime, file))
    return _gguf(max(candidates)[-1]) if candidates else None


def _gguf(file: Path) -> Checkpoint:
    content = file.resolve()  # in Hugging Face's cache it is called by its hash
    name = (content if content.suffix.lower() == GGUF else file).name
    return Checkpoint(file, name.removesuffix(GGUF), is_demo=name == DEMO_GGUF)


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
