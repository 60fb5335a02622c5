"""Where an export goes: hidden until it is whole, and never in place of something else."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.checkpoints.errors import CheckpointError
from components.checkpoints.fetch import check_free_disk

RECEIPT = ".export.json"


def check_target(target: Path) -> None:
    """See that an export may take this name: nothing has it, an empty folder, or an earlier export.

    Raises:
        CheckpointError: it may not.
    """
    if target.is_dir() and ((target / RECEIPT).is_file() or not any(target.iterdir())):
        return
    if target.exists():
        raise CheckpointError(
            f"{target} is in the way, and was not exported by this command. Move it away, or name another folder."
        )


def check_file_target(target: Path) -> None:
    """See that an export may take this name for a file: nothing has it.

    Raises:
        CheckpointError: something has.
    """
    if target.exists():
        raise CheckpointError(f"{target} is there already. Move it away, or name another file.")


@contextmanager
def building_file(target: Path, size: int) -> Iterator[Path]:
    """A hidden name beside ``target`` for a file that gets that name when the block ends well, and else is deleted.

    A process that is killed leaves it; the next export of that name begins by deleting it.

    Args:
        target: where the export is to be.
        size: bytes that the disk must have room for.

    Raises:
        CheckpointError: something else is there, or there is no room.
    """
    target = target.expanduser().resolve()
    check_file_target(target)
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    check_free_disk(size, target.parent, "--export-gguf")
    try:
        yield partial
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def building(target: Path, source: Path, size: int) -> Iterator[Path]:
    """A new hidden folder beside ``target``, which takes that name when the block ends well, and else is deleted.

    A process that is killed leaves it; the next export of that name begins by deleting it.

    Args:
        target: where the export is to be.
        source: what is exported, for the receipt.
        size: bytes that the disk must have room for.

    Raises:
        CheckpointError: something else is there, or there is no room.
    """
    target = target.expanduser().resolve()
    check_target(target)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        check_free_disk(size, target.parent, "--export-llama")
        yield partial
        (partial / RECEIPT).write_text(json.dumps({"source": source.resolve().name}), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
