"""Counts what would be launched on a GPU."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = (
    "view",
    "slice",
    "select",
    "split",
    "transpose",
    "permute",
    "expand",
    "squeeze",
    "chunk",
    "unbind",
    "alias",
    "t.",
)
"""Operators that launch nothing."""


class Kernels(TorchDispatchMode):
    """Counts the operators that launch something."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counted: Counter[str] = Counter()
        self.shapes: set[tuple[str, tuple[torch.Size, ...]]] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = str(func).removeprefix("aten.")
        if not any(view in name for view in VIEWS):
            self.counted[name] += 1
            self.shapes.add((name, tuple(one.shape for one in args if isinstance(one, torch.Tensor))))
        return func(*args, **(kwargs or {}))
