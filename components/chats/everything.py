"""All that a reader has as one file: a ZIP of files, each of which can be brought in, as can the whole.

One file of a long life here would be larger than what is brought in at once. So it is divided, at conversations, and a
conversation that is too large for that alone is packed again by itself.
"""

import gzip
import io
import zipfile
from collections.abc import Iterator

from components.chats.exporting import file_of, read_everything, read_own_presets, text_of
from components.chats.importing import MOST_CONVERSATIONS
from components.settings import get_settings
from components.store.database import Database

AROUND = 64 * 1024
"""Bytes that are left free in each file for what stands around conversations."""


def zip_everything(database: Database, reader: str) -> bytes:
    """The ZIP file. What was thrown away is not in it.

    Raises:
        StoreError: the database cannot be read at present.
    """
    most = get_settings().max_import_bytes
    presets = read_own_presets(database, reader)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for number, part in enumerate(_parts(database, reader, most - AROUND), 1):
            content = "".join(file_of(part, presets if number == 1 else ())).encode()
            name = f"conversations-{number:03}.json"
            if len(content) > most:
                file.writestr(f"{name}.gz", gzip.compress(content), zipfile.ZIP_STORED)
            else:
                file.writestr(name, content)
    return packed.getvalue()


def _parts(database: Database, reader: str, most: int) -> Iterator[list[str]]:
    """The conversations of each file, as they stand there; one file at least."""
    part: list[str] = []
    size = 0
    for entry in read_everything(database, reader):
        text = text_of(entry)
        length = len(text.encode())
        if part and (size + length > most or len(part) == MOST_CONVERSATIONS):
            yield part
            part, size = [], 0
        part.append(text)
        size += length + 2
    yield part
