"""Weights on disk, in every form in which people have them: a list of what is stored, and the tensors themselves.

Which form a file has is seen from its content, for some people rename files. What pickles hold is ``pickled.py``'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from components.checkpoints.content import is_safetensors
from components.checkpoints.weight_files import weight_files
from components.model.library_errors import explained
from components.model.pickled import can_be_mapped, read_pickled
from components.model.weight_names import plain_names


@dataclass(frozen=True)
class StoredWeight:
    """One tensor in a file.

    Attributes:
        file: the file that holds it.
        key: its name there.
        shape: its shape; ``[0]`` where ZeRO-3 saved a placeholder.
        dtype: its type of number.
    """

    file: Path
    key: str
    shape: torch.Size
    dtype: torch.dtype


def list_weights(folder: Path) -> dict[str, StoredWeight]:
    """Every weight of a complete checkpoint by its plain name (see ``plain_names``); what wraps it is taken off.

    Raises:
        LoadError: a file is damaged, or holds more than weights.
    """
    stored = [
        StoredWeight(file, key, tensor.shape, tensor.dtype)
        for file in weight_files(folder)
        for key, tensor in _map(file).items()
    ]
    names = plain_names(weight.key for weight in stored)
    return {names[weight.key]: weight for weight in stored}


def map_weights(weights: dict[str, StoredWeight]) -> dict[str, torch.Tensor]:
    """All the tensors, mapped from their files and not yet read (those of old, unzipped pickles are read)."""
    mapped = {file: _map(file) for file in {weight.file for weight in weights.values()}}
    return {name: mapped[weight.file][weight.key] for name, weight in weights.items()}


class LazyWeights:
    """Tensors that are read when somebody indexes them, each into memory of its own. Not for several threads.

    A file stays mapped, and what was read of it in memory, until a weight of another file is read. transformers comes
    to them layer by layer, which is mostly file by file.
    """

    def __init__(self, weights: dict[str, StoredWeight]) -> None:
        self._weights = weights
        self._file: Path | None = None
        self._mapped: dict[str, torch.Tensor] = {}

    def by_name(self) -> dict[str, "LazyWeight"]:
        """All of them."""
        return {name: LazyWeight(self, weight) for name, weight in self._weights.items()}

    def read(self, weight: StoredWeight) -> torch.Tensor:
        """One of them."""
        if weight.file != self._file:
            self._mapped = {}  # first, so that no two files are mapped at a time
            self._mapped, self._file = _map(weight.file), weight.file
        return self._mapped[weight.key].clone()


@dataclass(frozen=True)
class LazyWeight:
    """A tensor that is read when it is indexed; transformers asks for ``weight[...]`` just before it uses it."""

    weights: LazyWeights
    stored: StoredWeight

    def __getitem__(self, index: Any) -> torch.Tensor:
        return self.weights.read(self.stored)[index]


def in_reading_order(weights: dict[str, StoredWeight]) -> list[tuple[str, StoredWeight]]:
    """The order in which ``read_weights`` comes to them, file by file."""
    return sorted(weights.items(), key=lambda item: item[1].file)


def read_weights(weights: dict[str, StoredWeight]) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors one after the other, for a model that does not fit into memory as a whole.

    Each has a mapping of its own, for what was read stays in memory as long as its mapping does.
    """
    for file, group in groupby(in_reading_order(weights), key=lambda item: item[1].file):
        whole = None if is_safetensors(file) or can_be_mapped(file) else _map(file)
        for name, weight in group:
            # Of a file that is read as a whole a copy: several of its weights may lie in one storage.
            yield name, _map(file)[weight.key] if whole is None else whole[weight.key].clone()


def _map(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by their names in it."""
    with explained(file):
        if is_safetensors(file):
            with safe_open(file, framework="pt") as opened:
                return {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  # not a mapping
        return read_pickled(file)
