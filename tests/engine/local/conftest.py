"""An engine that goes only as far as a test lets it, so that nothing depends on who is faster."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.loading import load_model
from components.settings import Settings
from tests.tiny import TINY_PATH

Hold = Callable[..., threading.Event]


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """See there."""


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


@pytest.fixture
def make_long(tmp_path: Path) -> Iterator[Callable[[], LocalEngine]]:
    """Builds engines over the tiny model with room for prompts of several pieces."""
    engines = []

    def make() -> LocalEngine:
        model, tokenizer = load_model(TINY_PATH, dtype=torch.float32, device="cpu")
        model.config.model_max_length = 2048
        engines.append(engine := build_engine(model, tokenizer, Settings(max_queue=9, data_dir=tmp_path), "tiny"))
        return engine

    yield make
    for engine in engines:
        engine.close()
