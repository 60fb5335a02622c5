"""Bringing a checkpoint here, so that a folder in the models folder is always whole.

Files go to a hidden folder first and stay there when a download is cut, for the next try. Only when every size and
hash is right does the folder get its name.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from components.checkpoints.errors import FetchError
from components.checkpoints.locate import check_complete
from components.checkpoints.remote import Hub, RemoteFile, choose_files

PARTIAL = ".partial"
RECEIPT = ".download.json"
SPARE_BYTES = 512 * 1024**2
"""Left free on the disk for whatever else runs there."""


def fetch_checkpoint(hub: Hub, models_dir: Path) -> Path:
    """Fetch a checkpoint unless it is there already; return its folder.

    Raises:
        FetchError: it could not be fetched; no folder of its name exists then.
    """
    target = models_dir / hub.model.rsplit("/", 1)[-1]
    if is_fetched(target, hub):
        print(f"{target} is complete already: {hub.model} at {hub.revision}. Nothing to download.")
        return target
    files = choose_files(hub.list_files())
    if not any(file.path == "config.json" for file in files):
        raise FetchError(f"{hub.model} on {hub.name} is not a checkpoint: it has no config.json. Check --model.")
    partial = models_dir / PARTIAL / target.name
    partial.mkdir(parents=True, exist_ok=True)
    check_disk(files, partial)
    total = sum(file.size for file in files)
    print(f"Fetching {hub.model} at {hub.revision} from {hub.name}: {len(files)} files, {readable(total)}, to {target}")
    hub.fetch(files, partial)
    if damaged := find_damaged(files, partial):
        print(f"{', '.join(file.path for file in damaged)} arrived damaged. Fetching again …")
        hub.fetch(damaged, partial)
        if damaged := find_damaged(damaged, partial):
            raise FetchError(
                f"{damaged[0].path} of {hub.model} arrived damaged twice. "
                "Run the same command again later, or try another --source."
            )
    put_in_place(hub, files, partial, target)
    print(f"{target} is complete.")
    return target


def check_disk(files: Sequence[RemoteFile], folder: Path) -> None:
    """See that the disk has room for what is still to come.

    Raises:
        FetchError: it has not.
    """
    here = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    check_free_disk(max(0, sum(file.size for file in files) - here), folder.parent.parent, "--dir")


def check_free_disk(size: int, folder: Path, option: str) -> None:
    """See that ``size`` more bytes fit on the disk that ``folder`` is on; ``option`` names another one.

    Raises:
        FetchError: they do not.
    """
    needed = size + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FetchError(
            f"{readable(needed)} of free disk are needed in {folder.resolve()}, and {readable(free)} "
            f"are free. Make room, or choose another disk with {option}."
        )


def find_damaged(files: Sequence[RemoteFile], folder: Path) -> list[RemoteFile]:
    """Compare sizes and hashes with the hub's; delete the files that differ, and return them."""
    damaged = []
    total = sum(file.size for file in files)
    with tqdm(total=total, desc="Checking", unit="B", unit_scale=True, leave=False) as progress:
        for file in files:
            path = folder / file.path
            if not _is_intact(path, file):
                path.unlink(missing_ok=True)
                damaged.append(file)
            progress.update(file.size)
    return damaged


def is_fetched(folder: Path, hub: Hub) -> bool:
    """Whether the folder holds just what was fetched from there, going by names and sizes."""
    try:
        receipt = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        return (receipt["source"], receipt["model"], receipt["revision"]) == (
            hub.name,
            hub.model,
            hub.revision,
        ) and all((folder / path).stat().st_size == size for path, size in receipt["sizes"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def put_in_place(hub: Hub, files: Sequence[RemoteFile], partial: Path, target: Path) -> None:
    """Give a whole, checked folder its name, in one step.

    Raises:
        FetchError: another folder has that name, and it is not one that was fetched.
        IncompleteCheckpointError: the files make no checkpoint.
    """
    check_complete(partial)
    for leftover in (".cache", "._____temp", ".msc", ".mv", ".mdl"):  # the clients' own notes
        path = partial / leftover
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    receipt = {
        "source": hub.name,
        "model": hub.model,
        "revision": hub.revision,
        "sizes": {file.path: file.size for file in files},
    }
    (partial / RECEIPT).write_text(json.dumps(receipt, indent=2), encoding="utf-8")
    if target.exists():
        if not (target / RECEIPT).is_file():
            raise FetchError(
                f"{target} is in the way, and was not fetched by this command. Move it away and run again."
            )
        shutil.rmtree(target)  # the same model at another revision, or one that was changed since
    partial.rename(target)
    with contextlib.suppress(OSError):  # another download is under way there
        partial.parent.rmdir()


def readable(size: float) -> str:
    """Bytes as people read them: 15.0 GB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _is_intact(path: Path, file: RemoteFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.sha256 is None:
        return True
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
