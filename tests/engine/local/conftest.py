"""An engine that goes only as far as a test lets it, so that nothing depends on who is faster."""

import threading
from collections.abc import Callable

import pytest

from components.engine.local.engine import LocalEngine

Hold = Callable[..., threading.Event]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """``hold(engine, steps)``: after so many decode steps replies go on only once the event that it returns is set.

    Meanwhile the engine goes round: it lets in, reads prompts, cancels and tells those who wait.
    """

    def hold_one(engine: LocalEngine, steps: int = 0) -> threading.Event:
        decode, go_on, left = engine._worker._decode, threading.Event(), [steps]

        def held() -> None:
            if left[0] > 0 or go_on.wait(0.001):
                left[0] -= 1
                decode()

        monkeypatch.setattr(engine._worker, "_decode", held)
        return go_on

    return hold_one
