"""How Baichuan 2's weights on disk become Llama's in memory.

Two things differ: ``W_pack`` holds the query, key and value projections in one matrix ``[3 * hidden, hidden]``, and
the head is a NormHead: its rows are L2-normalised before they meet the hidden states. Both are settled while loading,
so the forward pass is Llama's own.
"""

from typing import Any

import torch
from torch.nn.functional import normalize
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Chunk, ConversionOps, WeightConverter

from components.model.configuration import BaichuanConfig


class NormalizeRows(ConversionOps):
    """Scales every row of a matrix to length 1, computed in float32. Normalised rows stay as they are."""

    def convert(self, input_dict: dict[str, Any], **kwargs: Any) -> dict[str, torch.Tensor]:
        """Return the one matrix of ``input_dict`` with its rows normalised, under its target name."""
        ((_, tensors),) = input_dict.items()
        weight = tensors[0] if isinstance(tensors, list) else tensors
        (target,) = kwargs["target_patterns"]
        return {target: normalize(weight.float(), dim=-1).to(weight.dtype)}

    @property
    def reverse_op(self) -> "NormalizeRows":
        """Saving keeps the normalised rows: they load to the same matrix again."""
        return self


def register_weight_conversion() -> None:
    """Tell transformers how to read Baichuan 2 checkpoints. Calling it again changes nothing."""
    register_checkpoint_conversion_mapping(
        BaichuanConfig.model_type,
        [
            WeightConverter(
                "self_attn.W_pack.weight",
                ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
                [Chunk(dim=0)],
            ),
            WeightConverter("lm_head.weight", "lm_head.weight", [NormalizeRows()]),
        ],
        overwrite=True,
    )
