from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.loading import load_model
from components.settings import Settings
from tests.tiny import TINY_PATH

EngineFactory = Callable[..., LocalEngine]


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[EngineFactory]:
    """Builds engines over the tiny Baichuan checkpoint in float32; options are settings."""
    engines = []

    def make(**options: Any) -> LocalEngine:
        model, tokenizer = load_model(TINY_PATH, dtype=torch.float32, device="cpu")
        settings = Settings(**{"max_queue": 4, "data_dir": tmp_path, **options})
        engines.append(engine := build_engine(model, tokenizer, settings, "tiny"))
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(params=["local", "plain"])
def engine(make_engine: EngineFactory, request: pytest.FixtureRequest) -> LocalEngine:
    """Both ways to run a model; whoever uses an engine cannot tell them apart."""
    return make_engine(engine=request.param)
