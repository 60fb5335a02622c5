"""Where a model runs, and in which type of number."""

import torch


def choose_device(wanted: str | None = None) -> torch.device:
    """The wanted device, else the first accelerator (CUDA, MPS, …), else the CPU.

    Raises:
        ValueError: torch does not know the wanted device, or this machine does not have it.
    """
    if wanted is None:
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"Device {wanted!r} cannot be used: {reason} Set BAICHUAN_DEVICE=cpu, or leave it out."
        ) from error
    return device


def choose_dtype(device: torch.device, wanted: str = "auto") -> torch.dtype:
    """The wanted type; for "auto" bfloat16 where the device computes in it natively.

    Without bfloat16, accelerators get float16 and the CPU float32: float16 is slow there, and bfloat16 without
    instructions for it slower still.

    Raises:
        ValueError: ``wanted`` is no floating-point type.
    """
    if wanted != "auto":
        dtype = getattr(torch, wanted, None)
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ValueError(f"{wanted!r} is no type for weights; use auto, bfloat16, float16 or float32.")
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu":
        return torch.bfloat16 if cpu_computes_bfloat16() else torch.float32
    return torch.float16


def cpu_computes_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
