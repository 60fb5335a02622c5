"""How Baichuan 2's weights on disk become Llama's.

Two things differ: ``W_pack`` holds the query, key and value projections in one matrix ``[3 * hidden, hidden]``, and
the head is a NormHead: its rows are L2-normalised before they meet the hidden states. Both are settled while loading
(``register_weight_conversion``) or once and for all (``to_llama``), so the forward pass is Llama's own.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import normalize
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Chunk, ConversionOps, WeightConverter

from components.model.configuration import BaichuanConfig

W_PACK = "self_attn.W_pack.weight"
PROJECTIONS = ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"]
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"
ROTARY_FREQUENCIES = "rotary_emb.inv_freq"
"""Stored by some checkpoints, though it follows from the configuration."""

ROWS_AT_ONCE = 4096
"""Rows that are float32 at the same time: the published head would take 2 GB as a whole."""


def normalize_rows(weight: torch.Tensor) -> torch.Tensor:
    """Scale every row to length 1, computed in float32, in the type of ``weight``."""
    normalized = torch.empty_like(weight)
    for rows, target in zip(torch.split(weight, ROWS_AT_ONCE), torch.split(normalized, ROWS_AT_ONCE), strict=True):
        target.copy_(normalize(rows.float(), dim=-1))
    return normalized


Conversion = Callable[[str, torch.Tensor], dict[str, torch.Tensor]]
"""From one stored weight to those that a Llama model has in its place, by name."""


def to_llama(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a plain Llama model has in the place of one stored weight: one to three weights by name, or nothing.

    The parts of ``W_pack`` are views of it.
    """
    if name.endswith(ROTARY_FREQUENCIES):
        return {}
    if name.endswith(W_PACK):
        layer = name.removesuffix(W_PACK)
        return {layer + projection: part for projection, part in zip(PROJECTIONS, weight.chunk(3), strict=True)}
    return {name: normalize_rows(weight) if name == HEAD else weight}


def untie_head(tied: bool, weights: dict[str, Any]) -> None:
    """Give a model whose head shares its embedding's weights a head of its own, which can then be normalised.

    Args:
        tied: whether ``config.json`` says so.
        weights: what is stored, by name; changed in place if it has no head.
    """
    if tied and HEAD not in weights and EMBEDDING in weights:
        weights[HEAD] = weights[EMBEDDING]


class NormalizeRows(ConversionOps):
    """``normalize_rows`` while loading. Normalised rows stay as they are."""

    def convert(self, input_dict: dict[str, Any], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return the one matrix of ``input_dict`` with its rows normalised, under its target name."""
        ((_, tensors),) = input_dict.items()
        weight = tensors[0] if isinstance(tensors, list) else tensors
        (target,) = kwargs["target_patterns"]
        return {target: normalize_rows(weight)}

    @property
    def reverse_op(self) -> "NormalizeRows":
        """Saving keeps the normalised rows: they load to the same matrix again."""
        return self


def register_weight_conversion() -> None:
    """Tell transformers how to read Baichuan 2 checkpoints. Calling it again changes nothing."""
    register_checkpoint_conversion_mapping(
        BaichuanConfig.model_type,
        [
            WeightConverter(W_PACK, PROJECTIONS, [Chunk(dim=0)]),
            WeightConverter(HEAD, HEAD, [NormalizeRows()]),
        ],
        overwrite=True,
    )
