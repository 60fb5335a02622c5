"""The forward pass and the published model's methods, against the reference implementation's figures."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, GenerationConfig

from tests.model.conftest import Tiny
from tests.tiny import CHATS, TINY_PATH

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def logits() -> dict[str, NDArray[np.float32]]:
    return dict(np.load(TINY_PATH / "expected_logits.npz"))


def greedy(max_new_tokens: int = 24) -> GenerationConfig:
    return GenerationConfig(do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=2)


@pytest.mark.parametrize("index", range(len(CHATS)))
@torch.inference_mode()
def test_logits_in_one_piece_equal_the_reference(
    tiny: Tiny, logits: dict[str, NDArray[np.float32]], index: int
) -> None:
    model, _ = tiny
    found = model(torch.tensor([CHATS[index]["input_ids"]])).logits[0].numpy()

    np.testing.assert_allclose(found[-1], logits[f"chat{index}_last"], atol=TOLERANCE)
    np.testing.assert_allclose(found.max(-1), logits[f"chat{index}_all_max"], atol=TOLERANCE)
    np.testing.assert_array_equal(found.argmax(-1), logits[f"chat{index}_all_argmax"])


@pytest.mark.parametrize("index", range(len(CHATS)))
@torch.inference_mode()
def test_logits_token_by_token_through_the_cache_equal_the_reference(
    tiny: Tiny, logits: dict[str, NDArray[np.float32]], index: int
) -> None:
    model, _ = tiny
    cache = DynamicCache(config=model.config)
    steps = [
        model(torch.tensor([[token]]), past_key_values=cache, use_cache=True).logits[0, 0].numpy()
        for token in CHATS[index]["input_ids"]
    ]

    np.testing.assert_allclose(steps[-1], logits[f"chat{index}_last"], atol=TOLERANCE)
    np.testing.assert_allclose([step.max() for step in steps], logits[f"chat{index}_all_max"], atol=TOLERANCE)
    np.testing.assert_array_equal([step.argmax() for step in steps], logits[f"chat{index}_all_argmax"])


@pytest.mark.parametrize("chat", CHATS)
def test_build_chat_input_equals_the_reference(tiny: Tiny, chat: dict[str, Any]) -> None:
    model, tokenizer = tiny
    input_ids = model.build_chat_input(tokenizer, chat["messages"], chat.get("max_new_tokens", 0))

    assert input_ids.tolist() == [chat["input_ids"]]


CHATS_WITH_DEFAULT_ROOM = [chat for chat in CHATS if "max_new_tokens" not in chat]


@pytest.mark.parametrize("chat", CHATS_WITH_DEFAULT_ROOM)
def test_chat_answers_with_the_reference_text(tiny: Tiny, chat: dict[str, Any]) -> None:
    model, tokenizer = tiny

    assert model.chat(tokenizer, chat["messages"], generation_config=greedy()) == chat["greedy_text"]


@pytest.mark.parametrize("chat", CHATS_WITH_DEFAULT_ROOM)
def test_chat_streams_the_reference_text_but_never_a_part_of_a_character(tiny: Tiny, chat: dict[str, Any]) -> None:
    model, tokenizer = tiny
    streamed = list(model.chat(tokenizer, chat["messages"], stream=True, generation_config=greedy()))

    assert len(streamed) == len(chat["greedy_stream"])
    for ours, reference in zip(streamed, chat["greedy_stream"], strict=True):
        # The reference shows the first bytes of a character as U+FFFD; ours waits for the rest of it.
        assert ours == reference or (reference.endswith("\ufffd") and ours == reference.rstrip("\ufffd"))


def test_chat_uses_the_checkpoints_sampling_by_default(tiny: Tiny) -> None:
    model, tokenizer = tiny
    messages = CHATS[0]["messages"]

    assert len({model.chat(tokenizer, messages) for _ in range(4)}) > 1, "four samples were all the same"
