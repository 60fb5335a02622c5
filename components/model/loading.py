"""From a folder on disk to a model and a tokenizer that can chat. No code of the folder is ever executed."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.auto_factory import _get_model_class

from components.checkpoints.errors import LoadError
from components.model.cpu_kernels import WIDEST, CpuKernels, find_cpu_kernels
from components.model.devices import accelerator_dtype, choose_device, named_dtype
from components.model.int8_loading import Int8Config
from components.model.library_errors import explained
from components.model.limits import available_memory
from components.model.opening import OpenedCheckpoint, open_checkpoint, register_architecture
from components.model.quantization import Quantize, quantize_model, wants_int8
from components.model.stored_weights import LazyWeights, map_weights
from components.model.weight_checks import check_loaded
from components.model.wrong_field import wrong_field_named

__all__ = ["LoadError", "load_model", "register_architecture"]


def load_model(
    path: Path | str,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    quantize: Quantize = "auto",
    data_dir: Path | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a checkpoint: Baichuan 2 7B as published, or any causal language model that transformers has built in.

    Args:
        path: a folder with ``config.json``, weights (``.safetensors`` or ``pytorch_model.bin``, in one file or in
            shards) and a tokenizer.
        dtype: type of the weights; None or "auto" chooses for the device.
        device: where to put them; None chooses the first accelerator, else the CPU.
        quantize: "int8" makes the linear layers' weights one byte each, on the CPU in bfloat16; "auto" does so there;
            "none" never.
        data_dir: where it is kept which kernels are fast on this CPU; else they are tried again.

    Raises:
        UnsupportedCheckpointError: a kind of model that cannot be run here.
        LoadError: something in the folder is missing or broken.
    """
    path = Path(path)
    target = choose_device(str(device) if device is not None else None)
    checkpoint = open_checkpoint(path)
    with explained(path / "generation_config.json"):
        generation = GenerationConfig.from_dict(checkpoint.generation)
    wanted = dtype if isinstance(dtype, torch.dtype) else None if dtype in (None, "auto") else named_dtype(dtype)
    is_asked = target.type == "cpu" and (wanted is None or wants_int8(quantize, target, wanted))
    kernels = _find_kernels(checkpoint.config, data_dir) if is_asked else None
    chosen = wanted or _choose_dtype(target, quantize, kernels)
    if wants_int8(quantize, target, chosen) and kernels is not None:
        # The unquantized weights make prefill faster, where there is room for both.
        copies = 2 + 2 * kernels.wide_dtype.itemsize // chosen.itemsize
        whole = chosen.itemsize * sum(weight.shape.numel() for weight in checkpoint.weights.values())
        keep_full = copies * whole < available_memory()
        model = _build_model(checkpoint, chosen, target, Int8Config(kernels, keep_full))
        quantize_model(model, keep_full, kernels)  # a head that shares its weights, and what cannot be quantized
    else:
        model = _build_model(checkpoint, chosen, target)
    model.generation_config = generation
    return model.eval(), checkpoint.tokenizer


def _find_kernels(config: Any, data_dir: Path | None) -> CpuKernels:
    """What is fast on this CPU, for layers of the model's size."""
    text = config.get_text_config()
    width: int = getattr(text, "hidden_size", None) or WIDEST
    return find_cpu_kernels(width, getattr(text, "intermediate_size", None) or 4 * width, data_dir)


def _choose_dtype(device: torch.device, quantize: Quantize, kernels: CpuKernels | None) -> torch.dtype:
    """On a CPU bfloat16 if int8 weights are to be faster, or if it multiplies it faster."""
    if kernels is None:
        return accelerator_dtype(device)
    is_faster = kernels.int8_rows > 0 or kernels.any_rows == "int8"
    return torch.bfloat16 if is_faster and quantize != "none" else kernels.plain_dtype


def _build_model(
    checkpoint: OpenedCheckpoint, dtype: torch.dtype, device: torch.device, int8: Int8Config | None = None
) -> PreTrainedModel:
    """Build the model and fill it with what is stored, all of it and nothing else."""
    model: PreTrainedModel
    described = "The model that config.json describes"
    with explained(checkpoint.folder, described, verb="built"), wrong_field_named(checkpoint.folder):
        kind = _get_model_class(checkpoint.config, AutoModelForCausalLM._model_mapping)
        model, found = kind.from_pretrained(
            None,
            config=checkpoint.config,
            # Made one byte a weight at once, they need not all be in memory, as those that are used mapped are.
            state_dict=map_weights(checkpoint.weights) if int8 is None else LazyWeights(checkpoint.weights).by_name(),
            dtype=dtype,
            device_map={"": device},
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_loaded tells of them, in words
            quantization_config=int8,
        )
        if int8 is not None:
            found["mismatched_keys"] = {*found["mismatched_keys"], *int8.mismatched}
        check_loaded(checkpoint.folder, checkpoint.config, found, checkpoint.weights)
    return model
