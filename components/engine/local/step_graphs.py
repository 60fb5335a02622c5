"""Decode steps as CUDA graphs: what a step launches is captured once for each shape, and from then on is one launch.

For few readers the kernels of a step are done sooner than Python has launched them one by one. A graph reads and writes
the same memory each time. So what a step is told is copied to where the graphs read it, and its logits are copied from
where they write them; all graphs share these two places, and one pool for what is computed in between.

A step that is captured may not wait for the device, nor have shapes that depend on numbers there.
"""

import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress

import torch

logger = logging.getLogger(__name__)

MOST_GRAPHS = 16
"""So many are kept; of more shapes than that, the one that was not run for the longest time is captured anew."""

KERNEL_BYTES = 64 * 2**10
"""What the driver keeps on the device for each kernel of a graph: as seen with CUDA 11, and less with later ones."""

FRAGMENTED = 1.25
"""How much larger the pool may be than what lies in it at a time."""

Work = Callable[[], None]


class Capture(ABC):
    """How work is done so that it can be done again."""

    @abstractmethod
    def warm_up(self, work: Work) -> None:
        """Do it where it will be captured, so that libraries have made ready what they make ready once."""

    @abstractmethod
    def capture(self, work: Work) -> Work:
        """Do not do it, but give what does it again and again.

        Raises:
            RuntimeError: it cannot be captured.
        """


class CudaCapture(Capture):
    """CUDA graphs, which share a pool of memory: no two of them run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Work) -> None:
        """See ``Capture.warm_up``."""
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            work()
        outside.wait_stream(self._stream)

    def capture(self, work: Work) -> Work:
        """See ``Capture.capture``."""
        graph = torch.cuda.CUDAGraph()
        # The outer context leaves the stream where the inner one cannot, which is so when capturing fails. Other
        # threads may use the device meanwhile.
        try:
            with (
                torch.cuda.stream(self._stream),
                torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
            ):
                work()
        except RuntimeError:
            # Else torch's allocator may take the capture for one that goes on, and give no memory back any more:
            # https://github.com/pytorch/pytorch/pull/190308
            with suppress(RuntimeError):
                torch._C._cuda_endAllocateToPool(self._stream.device.index, self._pool)
            raise
        return graph.replay


class StepGraphs:
    """Runs decode steps, and captures those whose shape comes again."""

    def __init__(self, capture: Capture, numbers: int, rows: int, vocabulary: int, device: torch.device) -> None:
        """Take the memory that all graphs share.

        Args:
            capture: how steps are captured.
            numbers: the most that a step is told.
            rows: the most that it has.
            vocabulary: how many logits each has.
            device: where it runs.
        """
        self._capture = capture
        self._told = torch.empty(numbers, dtype=torch.int64, device=device)
        self._logits = torch.empty(rows, vocabulary, device=device)
        self._graphs: OrderedDict[Hashable, Work] = OrderedDict()  # the one that was run last stands last
        self._before: Hashable = None
        self._can_capture = True

    @staticmethod
    def most_bytes(numbers: int, rows: int, vocabulary: int, between: int, kernels: int) -> int:
        """How much memory of the device they come to hold.

        Args:
            numbers: see ``__init__``.
            rows: see ``__init__``.
            vocabulary: see ``__init__``.
            between: bytes that a step holds at a time, at the most.
            kernels: that a step launches.
        """
        shared = 8 * numbers + 4 * rows * vocabulary
        return shared + int(FRAGMENTED * between) + MOST_GRAPHS * kernels * KERNEL_BYTES

    def hold(self, told: torch.Tensor) -> bool:
        """Whether a step that is told this fits."""
        return told.numel() <= self._told.numel() and len(told) <= len(self._logits)

    def run(self, way: Hashable, told: torch.Tensor, step: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """Run a step.

        A shape is captured when two steps in a row have it: one that passes by costs more than it brings.

        Args:
            way: what ``step`` depends on besides what it is told; the same way and shape, the same kernels.
            told: int64, ``[rows, n]``, on the host; see ``hold``.
            step: from the same on the device to float32 logits, ``[rows, vocabulary]``.

        Returns:
            The logits. They are the caller's; the next step does not change them.
        """
        given, logits = self._told[: told.numel()].view(told.shape), self._logits[: len(told)]
        given.copy_(told, non_blocking=True)

        def work() -> None:
            logits.copy_(step(given))

        key = way, told.shape
        if (replay := self._graphs.get(key)) is not None:
            self._graphs.move_to_end(key)
            replay()
        elif key == self._before and self._can_capture:
            self._capture.warm_up(work)
            self._keep(key, work)
        else:
            work()
        self._before = key
        return logits.clone()

    def _keep(self, key: Hashable, work: Work) -> None:
        """Capture a step that was run just now. Where that fails, no other is tried."""
        while len(self._graphs) >= MOST_GRAPHS:
            self._graphs.popitem(last=False)
        try:
            self._graphs[key] = self._capture.capture(work)
        except RuntimeError:  # replies are written without, too
            self._can_capture = False
            logger.warning("A decode step could not be captured as a CUDA graph: steps are slower.", exc_info=True)
