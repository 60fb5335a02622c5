"""What a hub offers, and which of its files are needed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

LICENCES = ("*LICENSE*", "*[Ll]icen[cs]e*", "*许可*", "NOTICE*")
"""Baichuan 2's are two PDF files with spaces in their names, one of them in Chinese."""

NEEDED = ("*.json", "*.model", "*.jinja", "*.txt", "*.md", *LICENCES, "*.safetensors", "pytorch_model*.bin")
"""Everything that running a checkpoint reads, and its licence. No code: none of the repository's is ever run."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on a hub. ``size`` is in bytes; ``sha256`` is None where the hub does not tell it."""

    path: str
    size: int
    sha256: str | None


class Hub(ABC):
    """A place that checkpoints are fetched from, for one model at one revision."""

    name: str
    model: str
    revision: str

    @abstractmethod
    def list_files(self) -> list[RemoteFile]:
        """All files of the repository.

        Raises:
            FetchError: the hub cannot be reached, or has no such model or revision.
        """

    @abstractmethod
    def fetch(self, files: Sequence[RemoteFile], folder: Path) -> None:
        """Bring the files into ``folder``, going on from what an earlier try left there.

        Raises:
            FetchError: a file could not be fetched.
        """


def choose_files(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The files to fetch: what running needs, with the weights once, as safetensors where there are any."""
    chosen = [file for file in files if "/" not in file.path and any(fnmatch(file.path, one) for one in NEEDED)]
    if any(file.path.endswith(".safetensors") for file in chosen):
        chosen = [file for file in chosen if not fnmatch(file.path, "pytorch_model*.bin*")]
    return chosen
