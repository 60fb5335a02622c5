"""Numbers that go to a device, and numbers that come from it: as seldom as can be, since each arrival is waited for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def is_far(device: torch.device) -> bool:
    """Whether numbers there are not in the host's memory."""
    return device.type != "cpu"


def to_device(numbers: NDArray[Any] | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Numbers of the host on a device; nobody waits until they are there."""
    here = torch.as_tensor(numbers)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


class Wanted:
    """Numbers of a device that the host will look at."""

    def __init__(self, tensor: torch.Tensor, arrivals: "Arrivals") -> None:
        self.tensor: torch.Tensor | None = tensor
        self.found: NDArray[Any] | None = None
        self._arrivals = arrivals

    @property
    def numbers(self) -> NDArray[Any]:
        """They, on the host. Waits for the device the first time, and then brings all that is wanted by then."""
        if self.found is None:
            self._arrivals.bring()
        assert self.found is not None
        return self.found


class Arrivals:
    """What comes from a device, together with all else that is wanted when the first of it is looked at."""

    def __init__(self) -> None:
        self._wanted: list[Wanted] = []

    def want(self, tensor: torch.Tensor) -> Wanted:
        """Say that the host will look at the numbers that the tensor has at this place in the device's work."""
        wanted = Wanted(tensor, self)
        self._wanted.append(wanted)
        return wanted

    def bring(self) -> None:
        """Bring all that is wanted."""
        tensors = [wanted.tensor for wanted in self._wanted if wanted.tensor is not None]
        for wanted, numbers in zip(self._wanted, to_host(tensors), strict=True):
            wanted.tensor, wanted.found = None, numbers
        self._wanted.clear()


def to_host(tensors: Sequence[torch.Tensor]) -> list[NDArray[Any]]:
    """The numbers of tensors of one device, in one transfer. Waits until they are computed."""
    if not is_far(tensors[0].device):
        return [tensor.numpy() for tensor in tensors]
    together = torch.cat([tensor.contiguous().flatten().view(torch.uint8) for tensor in tensors])
    if together.is_cuda:
        here = torch.empty_like(together, device="cpu", pin_memory=True).copy_(together, non_blocking=True)
        there = torch.cuda.Event()  # type: ignore[no-untyped-call]
        there.record()
        there.synchronize()
    else:
        here = together.cpu()
    ends = np.cumsum([tensor.nbytes for tensor in tensors])
    parts = np.split(here.numpy(), ends[:-1])
    kinds = [torch.empty(0, dtype=tensor.dtype).numpy().dtype for tensor in tensors]
    return [
        part.copy().view(kind).reshape(tensor.shape) for part, kind, tensor in zip(parts, kinds, tensors, strict=True)
    ]
