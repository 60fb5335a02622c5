"""The table of rotary positions: for each position and each pair of numbers of a head, by which angle it is turned."""

import torch
from torch import nn

POSITIONS_AT_ONCE = 65_536
"""While the table is made: cosines and sines take six times the memory of what is kept of them."""


@torch.inference_mode()
def rotations(rotary: nn.Module, length: int, device: torch.device) -> torch.Tensor:
    """The positions up to ``length`` as unit complex numbers, ``[length, head size / 2]``.

    Args:
        rotary: transformers' module for them, whose angles do not change with the length of a text.
        length: of the longest sequence.
        device: where the module is.
    """
    parts = []
    for begin in range(0, length, POSITIONS_AT_ONCE):
        positions = torch.arange(begin, min(begin + POSITIONS_AT_ONCE, length), device=device)[None]
        cosine, sine = rotary(torch.empty(0, dtype=torch.float32, device=device), positions)
        half = cosine.shape[-1] // 2
        parts.append(torch.complex(cosine[0, :, :half].float(), sine[0, :, :half].float()))
    return torch.cat(parts)
