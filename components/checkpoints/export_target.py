"""Where an export goes: hidden until it is whole, and never in place of something else."""

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.checkpoints.errors import CheckpointError
from components.checkpoints.fetch import check_free_disk, readable

RECEIPT = ".export.json"

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How the system says that a disk, an account or a file takes no more."""


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


def is_export_of(target: Path, source: Path) -> bool:
    """Whether ``target`` holds an export of ``source`` as it is now."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        receipt = json.loads((target / RECEIPT).read_text(encoding="utf-8"))
        return bool(receipt.get("stamp") == _stamp(source))
    return False


def _stamp(source: Path) -> str:
    """Changes whenever a file in the folder does."""
    files = sorted(file for file in source.iterdir() if file.is_file() and not file.name.startswith("."))
    stamps = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def check_file_target(target: Path) -> None:
    """See that an export may take this name for a file: nothing has it.

    Raises:
        CheckpointError: something has.
    """
    if target.exists():
        raise CheckpointError(f"{target} is there already. Move it away, or name another file.")


@contextmanager
def _failures_told(target: Path, size: int, option: str) -> Iterator[None]:
    """What the system refuses within is said with what to do.

    Raises:
        CheckpointError: ``target``, which takes ``size`` bytes, cannot be written; ``option`` names another place.
    """
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        if error.errno in NO_ROOM:
            cure = f"{readable(size)} are needed in {target.parent}. Make room, or choose another disk with {option}."
        else:
            cure = f"Choose another place with {option}."
        raise CheckpointError(f"{target} cannot be written: {reason}. {cure}") from error


@contextmanager
def building_file(target: Path, size: int) -> Iterator[Path]:
    """A hidden name beside ``target`` for a file that gets that name when the block ends well, and else is deleted.

    A process that is killed leaves it; the next export of that name begins by deleting it.

    Args:
        target: where the export is to be.
        size: bytes that the disk must have room for.

    Raises:
        CheckpointError: something else is there, there is no room, or it is used up meanwhile.
    """
    target = target.expanduser().resolve()
    check_file_target(target)
    partial = target.with_name(f".{target.name}.partial")
    with _failures_told(target, size, "--export-gguf"):
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
        CheckpointError: something else is there, there is no room, or it is used up meanwhile.
    """
    target = target.expanduser().resolve()
    check_target(target)
    partial = target.with_name(f".{target.name}.partial")
    receipt = {"source": source.resolve().name, "stamp": _stamp(source)}
    with _failures_told(target, size, "--export-llama"):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            check_free_disk(size, target.parent, "--export-llama")
            yield partial
            (partial / RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")
            if target.exists():
                shutil.rmtree(target)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
