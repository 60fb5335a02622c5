"""Weights as llama.cpp wants them: other names, rows of queries and keys in another order, and types with blocks."""

from collections.abc import Callable

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, MODEL_ARCH, GGMLQuantizationType, LlamaFileType, get_tensor_name_map
from gguf.quants import quantize
from numpy.typing import NDArray
from transformers import LlamaConfig

from components.checkpoints.errors import CheckpointError
from components.model.weights import EMBEDDING, HEAD, ROWS_AT_ONCE

TYPES = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
"""The types that can be written, and what a file of each calls itself."""

BLOCK = 32
"""Numbers that share a scale in q8_0 and q4_0; rows are made of whole blocks."""


def gguf_names(config: LlamaConfig) -> Callable[[str], str | None]:
    """From a weight's name in transformers to its name in GGUF; None for what is no part of a Llama model."""
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    return lambda name: names.get_name(name, try_suffixes=(".weight", ".bias"))


def stored_type(name: str, shape: torch.Size, kind: str) -> GGMLQuantizationType:
    """The type that a weight gets in a file of this kind.

    Norms and biases stay float32, and rows that are not made of whole blocks float16, as llama.cpp's own converter
    has it. In a q4_0 file the embedding and the head, on which every token depends, have eight bits.
    """
    wanted, _ = TYPES[kind]
    if len(shape) == 1 or wanted is GGMLQuantizationType.F32:
        return GGMLQuantizationType.F32
    if wanted is not GGMLQuantizationType.F16 and shape[-1] % BLOCK:
        return GGMLQuantizationType.F16
    if wanted is GGMLQuantizationType.Q4_0 and name in (HEAD, EMBEDDING):
        return GGMLQuantizationType.Q8_0
    return wanted


def bytes_of(shape: torch.Size, kind: GGMLQuantizationType) -> int:
    """How many bytes a weight of this shape takes."""
    numbers, size = GGML_QUANT_SIZES[kind]
    count: int = shape.numel() // numbers * size
    return count


def encoded(name: str, weight: torch.Tensor, kind: GGMLQuantizationType) -> NDArray[np.generic]:
    """A weight in its type. Only a few thousand rows are in float32 at the same time.

    Raises:
        CheckpointError: it holds numbers that the type cannot.
    """
    pieces = []
    for start in range(0, len(weight), ROWS_AT_ONCE):
        rows = weight[start : start + ROWS_AT_ONCE].float()
        if not torch.isfinite(rows).all():
            raise CheckpointError(f"{name} holds numbers that are not finite, so the checkpoint is damaged.")
        if kind is not GGMLQuantizationType.F32 and rows.abs().max() > np.finfo(np.float16).max:
            raise CheckpointError(f"{name} holds numbers too large for {kind.name.lower()}. Choose --type f32.")
        pieces.append(quantize(rows.numpy(), kind))
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def with_heads_interleaved(name: str, weight: torch.Tensor, config: LlamaConfig) -> torch.Tensor:
    """Rows of queries and keys in llama.cpp's order, which turns neighbouring numbers where transformers turns halves.

    Other weights come back as they are.
    """
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    layer, _, _ = name.rpartition(".")
    count = heads.get(layer.rpartition(".")[2])
    if count is None:
        return weight
    return weight.reshape(count, 2, len(weight) // count // 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)
