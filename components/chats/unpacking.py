"""Files as they are brought in, unpacked: gzip, ZIP, or neither. What they unpack to is bounded, and is not trusted."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from components.chats.import_errors import LONGEST_STEP, ImportFileError, Place
from components.store.texts import storable

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ENTRY = b"PK\x01\x02"

MOST_ENTRIES = 10_000
"""Of a ZIP file's table of contents, pictures and all. Each takes some 500 bytes of memory."""

MOST_FILES = 200
"""Of a ZIP file that are read."""

MOST_MEMBERS = 100
"""Of a gzip file, which may be several one behind the other."""

_ENDINGS = (".json", ".jsonl", ".ndjson", ".txt", ".gz")
_NAMED_SO = "conversations"
"""How the files with conversations are called in ZIP files that ChatGPT, Claude and this application make. Others
beside them are about something else."""


@dataclass
class Bounds:
    """How much may come of a file: of each document in it, and of all of them, in bytes."""

    document: int
    total: int

    @property
    def next(self) -> int:
        """How much the next document may have."""
        return min(self.document, self.total)


def unpacked(data: bytes, bounds: Bounds) -> Iterator[tuple[Place, bytes]]:
    """The documents in a file, one at a time, each with its place.

    Raises:
        ImportFileError: it is damaged, or there is more than ``bounds`` allow.
    """
    if data.startswith(_ZIP):
        yield from _of_zip(data, bounds)
    else:
        yield Place(), _of_gzip(data, Place(), bounds) if data.startswith(_GZIP) else data


def _of_zip(data: bytes, bounds: Bounds) -> Iterator[tuple[Place, bytes]]:
    if data.count(_ENTRY) > MOST_ENTRIES:
        raise ImportFileError("files", most=MOST_ENTRIES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            chosen = _chosen(file)
            if len(chosen) > MOST_FILES:
                raise ImportFileError("files", most=MOST_FILES)
            for entry in chosen:
                place = Place(file=storable(entry.filename)[-LONGEST_STEP:])
                with file.open(entry) as opened:
                    content = opened.read(bounds.next + 1)
                if len(content) > bounds.next:
                    raise ImportFileError("unpacked_size", place, size=bounds.next // 2**20)
                if content.startswith(_GZIP):
                    content = _of_gzip(content, place, bounds)
                else:
                    bounds.total -= len(content)
                yield place, content
    # Damaged in one way or another; RuntimeError: with a password; NotImplementedError: packed as nobody does.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ImportFileError("packed") from error


def _chosen(file: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files that may hold conversations."""
    readable = [
        entry
        for entry in file.infolist()
        if not entry.is_dir()
        and entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        and entry.filename.lower().endswith(_ENDINGS)
        and not PurePosixPath(entry.filename).name.startswith(".")  # macOS puts those beside each file
    ]
    named = [entry for entry in readable if PurePosixPath(entry.filename).name.lower().startswith(_NAMED_SO)]
    return named or readable


def _of_gzip(data: bytes, place: Place, bounds: Bounds) -> bytes:
    parts = io.BytesIO()
    members = 0
    try:
        while data:
            members += 1
            if members > MOST_MEMBERS:  # each copies what stands behind it
                raise ImportFileError("packed", place)
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            parts.write(unpacker.decompress(data, bounds.next + 1 - parts.tell()))
            if parts.tell() > bounds.next:
                raise ImportFileError("unpacked_size", place, size=bounds.next // 2**20)
            if not unpacker.eof:
                raise ImportFileError("packed", place)
            data = unpacker.unused_data  # a file may be several, one behind the other
            if not data.startswith(_GZIP):
                break  # what tapes were filled up with
    except zlib.error:
        raise ImportFileError("packed", place) from None
    bounds.total -= parts.tell()
    return parts.getvalue()
