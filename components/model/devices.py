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


def named_dtype(name: str) -> torch.dtype:
    """A type for weights by its name.

    Raises:
        ValueError: it is no floating-point type.
    """
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"{name!r} is no type for weights; use auto, bfloat16, float16 or float32.")
    return dtype


def accelerator_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where an accelerator computes in it natively, else float16."""
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float16
