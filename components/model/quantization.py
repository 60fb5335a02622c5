"""Linear layers with weights of one byte, for the CPU.

torch's ``_weight_int8pack_mm`` is the kernel; torchao reaches it only through ``torch.compile``, which needs a compiler
on the user's machine.
"""

from functools import cached_property
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from components.model.cpu_kernels import CpuKernels, Linear, packed

Quantize = Literal["auto", "int8", "none"]

WHOLE_STEPS = 32
"""torch's kernel goes through a row in steps of 16 numbers and reads beyond the end of one that is no multiple: what
stands there, a NaN or nothing at all, decides. Such layers stay as they are; none of the published models has any."""

PIECE = 2**18
"""Weights that are quantized at once, so that what lies between stays in the processor's cache."""

MULTIPLIED_OUT = 512
"""Rows of weights that are multiplied out at once: they stay in the processor's cache until they are used."""

MULTIPLY_OUT_ROWS = 32
"""Without unquantized weights, int8 is used up to here; above, multiplying the weights out first costs less."""


class Int8Linear(nn.Module):
    """``y = x Wᵀ``, with W in int8 and a scale for each row of W (symmetric, round to nearest).

    Attributes:
        weight: int8, ``[out, in]``.
        scale: bfloat16, ``[out]``.
        full: the weights before, ``[out, in]``, in the type in which this CPU multiplies faster, for more rows than
            int8 is the faster kernel for; None where memory is short, and then the int8 weights are multiplied out for
            each use.
        kernels: what is fast here.
    """

    weight: torch.Tensor
    scale: torch.Tensor
    full: torch.Tensor | None

    def __init__(
        self, weight: torch.Tensor, scale: torch.Tensor, full: torch.Tensor | None, kernels: CpuKernels
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("full", full)
        self.kernels = kernels

    @classmethod
    def of(cls, full: torch.Tensor, keep_full: bool, kernels: CpuKernels) -> "Int8Linear":
        """Quantize bfloat16 weights ``[out, in]``."""
        # The scale is rounded before the weights are divided by it, so that its rounding is no error of the product;
        # rounding it up by half a step keeps the largest weight within 127.
        scale = (full.abs().amax(dim=1).float() / 127 * (1 + 2**-8)).to(torch.bfloat16)
        divisor = torch.where(scale == 0, 1, scale.float())[:, None]
        weight = torch.empty(full.shape, dtype=torch.int8)
        rows = max(1, PIECE // full.shape[1])
        for begin in range(0, len(full), rows):
            piece = slice(begin, begin + rows)
            weight[piece] = full[piece].float().div_(divisor[piece]).round_()
        return cls(weight, scale, full.to(kernels.wide_dtype) if keep_full else None, kernels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply ``[…, in]`` of bfloat16 to ``[…, out]``."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= (MULTIPLY_OUT_ROWS if self.full is None else self.kernels.int8_rows):
            product = torch._weight_int8pack_mm(rows, self.weight, self.scale)
        elif self.full is not None:
            product = self._wide(rows)
        else:
            product = self._multiply_out(rows)
        return product.view(*x.shape[:-1], -1)

    @cached_property
    def _wide(self) -> Linear:
        assert self.full is not None
        return packed(self.full)

    def _multiply_out(self, rows: torch.Tensor) -> torch.Tensor:
        """A few of the weights at a time are made what they were: all of a 7B's head would be 2 GB of float32."""
        wide = rows.to(self.kernels.plain_dtype)
        product = torch.empty(len(rows), len(self.weight), dtype=rows.dtype)
        for begin in range(0, len(self.weight), MULTIPLIED_OUT):
            piece = slice(begin, begin + MULTIPLIED_OUT)
            weights = self.weight[piece].to(wide.dtype) * self.scale[piece].to(wide.dtype)[:, None]
            product[:, piece] = functional.linear(wide, weights)
        return product


class WideLinear(nn.Module):
    """A layer that cannot be quantized, on a CPU that multiplies bfloat16 slowly: its weights are float32."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("weight", layer.weight.detach().float())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float())

    weight: torch.Tensor
    bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply ``[…, in]`` to ``[…, out]``, in the type of what comes in."""
        return functional.linear(x.float(), self.weight, self.bias).to(x.dtype)


def wants_int8(quantize: Quantize, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a model is to be quantized: "auto" does on a CPU where it is in bfloat16.

    Raises:
        ValueError: int8 was asked for where it does not run.
    """
    possible = device.type == "cpu" and dtype == torch.bfloat16
    if quantize == "int8" and not possible:
        raise ValueError(
            f"int8 weights run on the CPU in bfloat16 only, not on {device.type} in {dtype}. "
            "Set BAICHUAN_QUANTIZE=auto."
        )
    return possible and quantize != "none"


def can_quantize(layer: nn.Module) -> bool:
    """Whether the kernel can take this layer's place."""
    return type(layer) is nn.Linear and layer.bias is None and layer.in_features % WHOLE_STEPS == 0


def quantize_model(model: nn.Module, keep_full: bool, kernels: CpuKernels) -> None:
    """Replace the linear layers of a model, its head among them, where they stand and where the kernel can run."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not nn.Linear:
                continue
            if can_quantize(child):
                setattr(parent, name, Int8Linear.of(child.weight.detach(), keep_full, kernels))
            elif kernels.plain_dtype != child.weight.dtype:
                setattr(parent, name, WideLinear(child))
