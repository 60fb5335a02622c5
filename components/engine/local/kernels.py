"""The linear layers of a step, each made for what limits it, and which of them a seed can rely on.

With few rows at once, a step takes as long as its weights take from memory: int8 weights are half the bytes of
bfloat16. With more rows, and in prefill, arithmetic limits: there oneDNN's matmul on weights in its own layout is the
fastest, or FBGEMM's on float16 weights where the CPU has no instructions for bfloat16. Measured on two cores with
AVX512-BF16, 576→3072, one row and eight, in µs: in bfloat16 ``F.linear`` 240 and 310, int8 125 and 470, packed 160 and
180; in float32 ``F.linear`` 190 and 470, packed 100 and 180 (with AVX2 alone 220 and 440, packed 240 and 250).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from components.model.cpu_kernels import Linear, packed
from components.model.quantization import Int8Linear


def pack(layer: Any) -> Linear:
    """The fastest kernel for a layer and any number of rows."""
    if not isinstance(layer, Int8Linear):
        return packed(layer.weight.detach())
    return layer if layer.full is None else packed(layer.full)


def int8(layer: Any) -> Linear:
    """The int8 kernel of a quantized layer, for few rows; of another layer, its only one."""
    if not isinstance(layer, Int8Linear):
        return pack(layer)
    weight, scale = layer.weight, layer.scale
    return lambda x: torch._weight_int8pack_mm(x, weight, scale)


def with_fixed_rows(linear: Linear, rows: int) -> Linear:
    """The same kernel always over as many rows: a library that chooses kernels by shape then chooses one."""

    def multiply(x: torch.Tensor) -> torch.Tensor:
        own = len(x)
        return linear(functional.pad(x, (0, 0, 0, rows - own)) if own < rows else x)[:own]

    return multiply


@torch.inference_mode()
def computes_rows_alike(linear: Linear, width: int, most: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a row gives the same bits however many others there are, up to ``most``, and wherever it stands.

    Tried, because no library promises it: oneDNN keeps it from ``MIN_ROWS`` rows on, MKL does not.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(most, width, generator=generator).to(device, dtype)
    whole = linear(x)
    counts: Sequence[int] = sorted({rows for rows in (1, 2, 3, 4, 5, 7, 8, 11, 16, 31, most - 1) if 0 < rows < most})
    return torch.equal(linear(x.flip(0)), whole.flip(0)) and all(
        torch.equal(linear(x[:rows]), whole[:rows]) for rows in counts
    )
