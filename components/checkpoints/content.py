"""What a file really holds, where a download or a copy left something else under its name."""

import json
from pathlib import Path
from typing import Any

from components.checkpoints.errors import LoadError

CURE = "Fetch it again: python download.py (your own model: copy it again from where it was saved)."
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
PAGE_BEGINNINGS = (b"<!doctype", b"<html", b"<?xml")
READ = 512
"""Bytes that are looked at."""

FORMS = {
    b"GGUF": "it is a GGUF file: give it a name that ends in .gguf, and name the file itself",
    b"\x93NUMPY": "it is an array that NumPy saved, not a model's weights",
    b"\x89HDF": "it is an HDF5 file, as TensorFlow writes them",
    b"\x1f\x8b": "it is packed with gzip: unpack it",
    b"BZh": "it is packed with bzip2: unpack it",
    b"\xfd7zXZ": "it is packed with xz: unpack it",
    b"\x28\xb5\x2f\xfd": "it is packed with zstd: unpack it",
    b"7z\xbc\xaf": "it is a 7z archive: unpack it",
    b"Rar!": "it is a RAR archive: unpack it",
}
"""What files of other forms begin with."""

LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header: the library refuses longer ones."""


def explain_content(file: Path, binary: bool = True) -> str | None:
    """What is in a file that is not what its name says; None if nothing looks wrong.

    Args:
        file: a file that exists.
        binary: whether it should hold anything but text.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(READ)
    except OSError as error:
        return f"the system refuses to open it: {error.strerror}"
    if not start:
        return "it is empty, as after a download that was cut or on a full disk"
    if start.startswith(LFS_POINTER):
        return "it is only the Git LFS pointer to the file: run git lfs pull in its folder, or download it"
    if start.lstrip().lower().startswith(PAGE_BEGINNINGS):
        return "it is a web page, not the file: the download met a login or an error page"
    if not any(start):
        return "it begins with nothing but zeros, as a download does that did not end"
    for beginning, form in FORMS.items():
        if start.startswith(beginning):
            return form
    if binary and start.isascii() and all(chr(byte).isprintable() or chr(byte).isspace() for byte in start):
        return f"it is a text ({start[:60].decode().strip()!r}), not the file: the download met an error"
    return None


def explain_place(file: Path) -> str | None:
    """What stands where a file should be and is none; None if nothing does."""
    if file.is_symlink() and not file.exists():
        return (
            f"{file.name} is a link that leads nowhere (to {file.readlink()}): the file itself was not copied. Copy "
            "the folder with what its links lead to (cp -rL), or fetch it again: python download.py"
        )
    if file.is_dir():
        return f"{file.name} is a folder, and should be a file. {CURE}"
    return None


def check_place(file: Path) -> None:
    """See that under a name that may be absent there is a file, if anything.

    Raises:
        LoadError: there is a folder, or a link that leads nowhere.
    """
    if problem := explain_place(file):
        raise LoadError(f"{file.parent} cannot be loaded: {problem}")


def is_safetensors(file: Path) -> bool:
    """Whether a weight file is to be read as safetensors: by its content, or by its name where that tells nothing."""
    try:
        with file.open("rb") as opened:
            start = opened.read(9)
    except OSError:
        start = b""
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= LONGEST_HEADER:
        return True
    return file.suffix == ".safetensors" and not start.startswith((b"PK\x03\x04", b"\x80\x02"))


def read_json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        LoadError: there is no such file, it is not JSON, or it holds something else than an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))  # some editors put a byte-order mark in front
    except (OSError, ValueError, RecursionError) as error:
        reason = explain_content(file, binary=False) or f"it is not JSON: {error}"
        raise LoadError(f"{file} cannot be read ({reason}). {CURE}") from error
    if not isinstance(content, dict):
        raise LoadError(f"{file} holds {_kind(content)} where an object {{…}} is expected. {CURE}")
    return content


def _kind(content: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(content), "a number")
