"""The shape of the model in a GGUF file, as far as its memory depends on it, with a check of every number.

Which fields there must be, and which numbers they may hold, is as llama.cpp has it: ``load_hparams`` in its
``src/llama-model.cpp``.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.checkpoints.errors import LoadError
from components.checkpoints.gguf import GgufHeader, PassedOver

LEAST_CONTEXT = 64
"""Tokens; with less nobody can ask anything."""

MOST_CONTEXT = 2**31 - 1
MOST_LAYERS = 512
MOST_NUMBERS = 1 << 18
MOST_HEADS = 1 << 14
LARGEST_HEAD = 1 << 16
"""What llama.cpp can count, its own limit of layers, and for the others more than ten times what any model has."""

WHOLE_NUMBERS = "bBhHiIqQ"
"""Types of arrays."""

BYTES = 2
"""Of a number in float16."""


@dataclass(frozen=True)
class Shape:
    """What is known of a model's memory.

    Attributes:
        context: tokens that it was trained for.
        bytes_per_token: of its keys and values in float16.
    """

    context: int
    bytes_per_token: int


def shape_of(file: Path, header: GgufHeader) -> Shape:
    """The shape that a file's header describes.

    Raises:
        LoadError: a field is missing, of another type, or holds a number that no model has; the text names it.
    """
    fields = Fields(file, header.values, f"{header.architecture}.")
    context = fields.number("context_length", LEAST_CONTEXT, MOST_CONTEXT)
    layers = fields.number("block_count", 1, MOST_LAYERS)
    width = fields.number("embedding_length", 1, MOST_NUMBERS)
    # Models without attention (Mamba, RWKV) say that they have no heads.
    least = int(any(".attn_q" in name for name in header.weights))
    heads = fields.largest("attention.head_count", layers, least, MOST_HEADS, 0 if least == 0 else None)
    heads_kv = fields.largest("attention.head_count_kv", layers, least, MOST_HEADS, heads)
    size = width // max(heads, 1)
    keys, values = (
        fields.largest(f"attention.{name}", layers, least, LARGEST_HEAD, size)
        for name in ("key_length", "value_length")
    )
    if least and 0 in (keys, values):
        raise fields.refusal("attention.head_count", f"at most {width} belong, the numbers that they share")
    return Shape(context, BYTES * layers * max(heads_kv, 1) * max(keys + values, 1))


class Fields:
    """The fields of a header, each asked for with what belongs there."""

    def __init__(self, file: Path, values: Mapping[str, Any], prefix: str) -> None:
        """``prefix`` stands before the names of the fields that are asked for."""
        self._file = file
        self._values = values
        self._prefix = prefix

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number.

        Raises:
            LoadError: there is none, or another one.
        """
        value = self._values.get(self._prefix + name)
        if type(value) is not int or not least <= value <= most:
            raise self.refusal(name, f"a whole number from {least} to {most} belongs")
        return value

    def largest(self, name: str, layers: int, least: int, most: int, otherwise: int | None) -> int:
        """The largest of the numbers that the layers have, which is one for all or a list.

        Args:
            name: of the field.
            layers: how many there are.
            least: of the largest; single layers may have zero.
            most: of any.
            otherwise: where there is no such field; None if there must be.

        Raises:
            LoadError: there is something else.
        """
        value = self._values.get(self._prefix + name)
        if value is None and otherwise is not None:
            return otherwise
        if not isinstance(value, array):
            return self.number(name, least, most)
        if value.typecode not in WHOLE_NUMBERS or len(value) != layers:
            raise self.refusal(name, f"a whole number belongs, or one for each of {layers} layers")
        if not (min(value) >= 0 and least <= max(value) <= most):
            raise self.refusal(name, f"numbers up to {most} belong", f"holds {min(value)} to {max(value)}")
        return int(max(value))

    def refusal(self, name: str, expected: str, found: str | None = None) -> LoadError:
        """What is said of a field.

        Args:
            name: of the field.
            expected: what belongs there, as the end of a sentence.
            found: what it does, if not just being what it is.
        """
        key = self._prefix + name
        value = self._values.get(key)
        said = f"does not say {key}" if value is None else f"says that {key} {found or f'is {shown(value)}'}"
        return LoadError(
            f"{self._file} cannot be loaded: its header {said}, where {expected}. Take another file of this model."
        )


def shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, array):
        return f"a list of {len(value)} numbers"
    if isinstance(value, list):
        return f"a list of {len(value)} texts"
    if isinstance(value, PassedOver):
        return value.what
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
