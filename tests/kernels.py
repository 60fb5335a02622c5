"""Counts what would be launched on a GPU."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = frozenset(
    {
        *("alias", "as_strided", "chunk", "detach", "expand", "lift_fresh", "permute", "select", "slice", "split"),
        *("split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view", "view_as_complex"),
        *("view_as_real", "_unsafe_view", "empty", "resolve_conj", "resolve_neg"),
    }
)
"""Operators that launch nothing."""

OFTEN_VIEWS = frozenset({"contiguous", "flatten", "reshape", "to"})
"""Operators that launch nothing where what comes in is as wanted already."""


class Kernels(TorchDispatchMode):
    """Counts the operators that launch something."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counted: Counter[str] = Counter()
        self.shapes: set[tuple[str, tuple[torch.Size, ...]]] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(func).removeprefix("aten.")
        operator = name.partition(".")[0]
        is_view = operator in VIEWS or (operator in OFTEN_VIEWS and _share_memory(result, args[0]))
        if not is_view:
            self.counted[name] += 1
            self.shapes.add((name, tuple(one.shape for one in args if isinstance(one, torch.Tensor))))
        return result


def _share_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
