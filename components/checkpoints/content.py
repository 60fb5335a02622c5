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
    if binary and start.isascii() and all(chr(byte).isprintable() or chr(byte).isspace() for byte in start):
        return f"it is a text ({start[:60].decode().strip()!r}), not the file: the download met an error"
    return None


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
