"""The linear layers of a decode step, each made for what limits it.

With few rows at once, a step takes as long as its weights take from memory: int8 weights are half the bytes of
bfloat16. With more rows, and in prefill, arithmetic limits: there oneDNN's matmul on weights in its own layout is the
fastest. Measured on two cores with AVX512-BF16, 576→3072, one row and eight, in µs: ``F.linear`` 240 and 310, int8 125
and 470, packed 160 and 180.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from components.model.quantization import Int8Linear

Linear = Callable[[torch.Tensor], torch.Tensor]
"""``[n, in]`` to ``[n, out]``."""

MIN_ROWS = 4
"""oneDNN may take another kernel for a single row, with sums in another order. Four rows take no longer than one."""


def computes_rows_alike(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether ``pack`` gives a layer that computes a row alike, to the bit, however many rows there are.

    oneDNN does from ``MIN_ROWS`` rows on; nothing of the kind is known of other libraries.
    """
    return device.type == "cpu" and dtype == torch.bfloat16 and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def pack(layer: Any) -> Linear:
    """The fastest kernel for a layer and any number of rows."""
    if isinstance(layer, Int8Linear):
        if layer.full is None:
            return layer
        weight = layer.full
    else:
        weight = layer.weight.detach()
    if not computes_rows_alike(weight.device, weight.dtype):
        return lambda x: functional.linear(x, weight)
    # What torch.compile does with weights that do not change; nothing public offers it without a compiler.
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, MIN_ROWS)

    def multiply(x: torch.Tensor) -> torch.Tensor:
        rows = len(x)
        if rows < MIN_ROWS:
            x = functional.pad(x, (0, 0, 0, MIN_ROWS - rows))
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
        return product[:rows]

    return multiply


def int8(layer: Any) -> Linear:
    """The int8 kernel of a quantized layer, for few rows."""
    assert isinstance(layer, Int8Linear)
    weight, scale = layer.weight, layer.scale
    return lambda x: torch._weight_int8pack_mm(x, weight, scale)
