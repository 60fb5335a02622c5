from collections.abc import Iterator

import pytest
import torch

from components.engine.local import LocalEngine
from components.model.loading import load_model
from tests.tiny import TINY_PATH


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    """A local engine with the tiny Baichuan checkpoint in float32."""
    model, tokenizer = load_model(TINY_PATH, dtype=torch.float32, device="cpu")
    engine = LocalEngine(model, tokenizer, name="tiny", max_queue=4)
    yield engine
    engine.close()
