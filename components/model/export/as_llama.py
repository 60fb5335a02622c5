"""Baichuan 2 7B as what it is once its weights are converted: a plain Llama model. Every form of export begins here."""

from collections.abc import Iterator
from typing import Any

import torch
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

from components.model.chat_format import ROLE_IDS
from components.model.chat_template import chat_template
from components.model.configuration import BaichuanConfig
from components.model.library_errors import explained
from components.model.opening import OpenedCheckpoint
from components.model.stored_weights import StoredWeight, read_weights
from components.model.weights import Conversion, to_llama

SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
SHAPE = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "initializer_range",
    "rms_norm_eps",
    "rope_parameters",
)


def llama_config(config: BaichuanConfig) -> dict[str, Any]:
    """What ``config.json`` is to say, all of it spelt out: defaults differ between versions and engines."""
    return {
        "architectures": [LlamaForCausalLM.__name__],
        "model_type": LlamaConfig.model_type,
        **{name: getattr(config, name) for name in (*SHAPE, *SPECIAL_IDS)},
        "rope_theta": config.rope_parameters["rope_theta"],  # transformers 4 looks here, 5 in rope_parameters
        "max_position_embeddings": config.model_max_length,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
    }


def llama_weights(
    weights: dict[str, StoredWeight], progress: "tqdm[Any]", convert: Conversion = to_llama
) -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight of the Llama model, once and in its shape."""
    for stored, tensor in read_weights(weights):
        with explained(weights[stored].file, stored):
            converted = convert(stored, tensor)
        yield from converted.items()
        progress.update(tensor.nbytes)


def role_template(checkpoint: OpenedCheckpoint) -> str | None:
    """Baichuan 2's chat template; None for a checkpoint without role tokens, which was not made for chatting."""
    role_ids = [checkpoint.generation.get(name) for name in ROLE_IDS]
    if None in role_ids:
        return None
    return chat_template(*checkpoint.tokenizer.convert_ids_to_tokens(role_ids))
