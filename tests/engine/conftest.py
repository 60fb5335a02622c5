import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.loading import load_model
from components.model.modeling import BaichuanForCausalLM
from components.model.tokenizer import BaichuanTokenizer
from components.settings import Settings
from tests.tiny import TINY_PATH

Tiny = tuple[BaichuanForCausalLM, BaichuanTokenizer]
EngineFactory = Callable[..., LocalEngine]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """The tiny Baichuan checkpoint in float32. An engine takes a model's weights over, so give it a copy."""
    return load_model(TINY_PATH, dtype=torch.float32, device="cpu")


@pytest.fixture
def make_engine(tmp_path: Path, tiny: Tiny) -> Iterator[EngineFactory]:
    """Builds engines over the tiny Baichuan checkpoint in float32; options are settings."""
    engines = []

    def make(**options: Any) -> LocalEngine:
        model, tokenizer = copy.deepcopy(tiny[0]), tiny[1]
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
