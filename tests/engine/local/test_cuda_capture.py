"""How a CUDA graph is captured: in which order, and on which stream. ``tests/gpu`` does it on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from components.engine.local.step_graphs import CudaCapture


class FakeCuda:
    """Stands in for ``torch.cuda`` where it is called, and notes what happens on which stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.noted: list[str] = []
        self.current = "main"
        for name in ("Stream", "CUDAGraph", "graph", "stream", "current_stream", "graph_pool_handle"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        ended = lambda *given: self.noted.append(f"ended {given}")  # noqa: E731
        monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", ended, raising=False)

    def Stream(self, device: torch.device) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(
            device=device, name="side", wait_stream=lambda one: self.noted.append(f"side after {one.name}")
        )

    def CUDAGraph(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(replay=lambda: self.noted.append("replayed"))

    def graph_pool_handle(self) -> tuple[int, int]:
        return 0, 1

    def current_stream(self, _: torch.device) -> SimpleNamespace:
        return SimpleNamespace(name="main", wait_stream=lambda one: self.noted.append(f"main after {one.name}"))

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        before, self.current = self.current, stream.name
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(
        self, _: SimpleNamespace, pool: tuple[int, int], stream: SimpleNamespace, capture_error_mode: str
    ) -> Iterator[None]:
        self.noted.append(f"capturing on {stream.name} into {pool}, {capture_error_mode}")
        self.current = stream.name
        yield
        self.current = "main"  # not reached where the work fails, as with torch's


def test_a_step_is_warmed_up_and_captured_on_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    capture = CudaCapture(torch.device("cuda:0"))
    work = lambda: cuda.noted.append(f"work on {cuda.current}")  # noqa: E731
    capture.warm_up(work)
    capture.capture(work)()

    assert cuda.noted == [
        *("side after main", "work on side", "main after side"),
        *("capturing on side into (0, 1), thread_local", "work on side", "replayed"),
    ]


def test_after_a_capture_that_failed_all_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    cuda = FakeCuda(monkeypatch)
    with pytest.raises(RuntimeError, match="not permitted"):
        CudaCapture(torch.device("cuda:0")).capture(failing)

    assert cuda.current == "main"
    assert cuda.noted[-1] == "ended (0, (0, 1))"
