"""Small models of many types, with random weights: each keeps its keys and values in a way of its own."""

from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

COMMON: dict[str, Any] = {
    "vocab_size": 200,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WINDOW = 20
"""Tokens that a layer looks back, where it looks back only so far."""

WITH_KEYS_AND_VALUES: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Mistral": {"sliding_window": WINDOW},
    "Qwen2": {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 2},
    "Gemma2": {"sliding_window": WINDOW, "head_dim": 16},
    "Gemma3Text": {"sliding_window": WINDOW, "head_dim": 16},
    "GptOss": {"sliding_window": WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "DeepseekV3": {  # keys and values of different sizes
        "num_key_value_heads": 4,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 16,
        "n_routed_experts": 4,
        "n_group": 1,
        "topk_group": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "first_k_dense_replace": 2,
    },
    "GPT2": {},  # learned positions
    "Bloom": {},  # ALiBi
}
WITH_ANOTHER_STATE: dict[str, dict[str, Any]] = {
    "Mamba": {},
    "Qwen3Next": {
        "head_dim": 16,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    },
}


def small_model(kind: str, **options: Any) -> PreTrainedModel:
    """The same weights each time."""
    torch.manual_seed(0)
    given = {**WITH_KEYS_AND_VALUES, **WITH_ANOTHER_STATE}[kind]
    config = getattr(transformers, f"{kind}Config")(**COMMON | given | options)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    return model
