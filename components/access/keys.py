"""API keys: named, made by ``python keys.py``, kept as hashes in the data folder.

A key is 256 random bits, which nobody finds by trying; so one round of SHA-256 protects the stored form as well as a
slow password hash would, and costs a request nothing.
"""

import fcntl
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from components.access.private_file import write_private

PREFIX = "bc-"
FILE_NAME = "keys.json"

_NAME = re.compile(r"[\w.-]{1,64}")


class KeyStoreError(Exception):
    """A key cannot be added or removed, or the file cannot be read; the text says what to do."""


class StoredKey(BaseModel):
    """What is kept of a key. ``created`` is in UTC."""

    name: str
    sha256: str
    created: datetime


_StoredKeys = TypeAdapter(list[StoredKey])


class KeyStore:
    """The keys in one file. Several processes may use it: changes take effect in a running server at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int, int] | None = None
        self._keys: list[StoredKey] = []

    def add(self, name: str) -> str:
        """Make a key and return it; it cannot be had again later.

        Raises:
            KeyStoreError: the name is taken or cannot be a name.
        """
        if not _NAME.fullmatch(name):
            raise KeyStoreError(f"{name!r} cannot be a name: use 1 to 64 letters, digits, dots, dashes or underscores.")
        key = PREFIX + secrets.token_urlsafe(32)
        with self._changing() as keys:
            if any(stored.name == name for stored in keys):
                raise KeyStoreError(f"There is a key named {name} already. Choose another name, or remove it first.")
            keys.append(StoredKey(name=name, sha256=_hash(key), created=datetime.now(UTC).replace(microsecond=0)))
        return key

    def remove(self, name: str) -> None:
        """Withdraw a key.

        Raises:
            KeyStoreError: there is none of that name.
        """
        with self._changing() as keys:
            left = [stored for stored in keys if stored.name != name]
            if len(left) == len(keys):
                known = ", ".join(stored.name for stored in keys) or "there are none"
                raise KeyStoreError(f"There is no key named {name} (known: {known}).")
            keys[:] = left

    def all(self) -> list[StoredKey]:
        """All keys, oldest first.

        Raises:
            KeyStoreError: the file cannot be read.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._read_at, self._keys = None, []
            return []
        version = (status.st_mtime_ns, status.st_ino, status.st_size)
        if version != self._read_at:
            try:
                self._keys = _StoredKeys.validate_json(self._path.read_bytes())
            except (ValidationError, OSError) as error:
                raise KeyStoreError(
                    f"{self._path} cannot be read: repair it, or delete it and add keys anew."
                ) from error
            self._read_at = version
        return self._keys

    def find(self, key: str) -> str | None:
        """The name of a key, None if it is not a valid one. Compares with all of them, in constant time each."""
        given = _hash(key)
        names = [stored.name for stored in self.all() if hmac.compare_digest(stored.sha256, given)]
        return names[0] if names else None

    @contextmanager
    def _changing(self) -> Iterator[list[StoredKey]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = list(self.all())
            yield keys
            write_private(self._path, _StoredKeys.dump_json(keys, indent=2).decode() + "\n")


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
