import pytest
import torch

from components.model.loading import load_model
from components.model.modeling import BaichuanForCausalLM
from components.model.tokenizer import BaichuanTokenizer
from tests.tiny import TINY_PATH

Tiny = tuple[BaichuanForCausalLM, BaichuanTokenizer]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """The tiny checkpoint in float32 on the CPU, as the reference figures were computed."""
    model, tokenizer = load_model(TINY_PATH, dtype=torch.float32, device="cpu")
    assert isinstance(model, BaichuanForCausalLM)
    return model, tokenizer


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """See there."""
