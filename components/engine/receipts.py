"""A receipt says all that a reply came from, so that it can be written again and compared."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Self

from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams


class ReceiptError(ValueError):
    """The text is no receipt; it says what is missing."""


@dataclass(frozen=True)
class Receipt:
    """What a reply came from.

    Attributes:
        messages: what the model was given to answer.
        prompt: what it was given to write on instead, as text or token ids.
        tokens: the reply's token ids; empty when another server wrote it and told only the text.
        sampling: the sampling parameters, the seed that was drawn among them.
        exact: whether the same receipt gives the same tokens again on the same machine, whoever else is served
            meanwhile. So it is when the seed was chosen beforehand; else faster kernels and other people's caches may
            be used, whose sums are rounded otherwise.
        reused: how many tokens of the prompt came from the prefix cache.
        model: the checkpoint's name.
        weights: SHA-256 over the weight files, or why it is not known.
        device: what the model ran on.
        dtype: the type of the weights, with the quantization.
        engine: which engine wrote the reply.
        versions: of what decides the numbers.
        continued: how many of the tokens there were when the reply was written on.
    """

    messages: Sequence[Message]
    prompt: str | Sequence[int] | None
    tokens: Sequence[int]
    sampling: SamplingParams
    exact: bool
    reused: int
    model: str
    weights: str
    device: str
    dtype: str
    engine: str
    versions: dict[str, str]
    continued: int = 0

    def to_json(self) -> str:
        """For people and for ``from_json``."""
        content = asdict(self) | {"sampling": self.sampling.model_dump()}
        return json.dumps(content, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a receipt.

        Raises:
            ReceiptError: it is none.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            sampling = SamplingParams.model_validate(content.pop("sampling"))
            return cls(sampling=sampling, **content)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ReceiptError(f"This is no receipt: {error}") from error


def installed_versions() -> dict[str, str]:
    """The versions of what decides the numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "transformers", "numpy")}


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """The place of the first token that differs; None when there is none."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return None if len(one) == len(other) else min(len(one), len(other))
