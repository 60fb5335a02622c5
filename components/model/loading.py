"""From a folder on disk to a model and a tokenizer that can chat. No code of the folder is ever executed."""

import json
import pickle
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from components.model.configuration import BaichuanConfig, UnsupportedCheckpointError, check_supported
from components.model.devices import choose_device, choose_dtype
from components.model.modeling import BaichuanForCausalLM
from components.model.quantization import Quantize, quantize_model, wants_int8
from components.model.tokenizer import BaichuanTokenizer
from components.model.weights import register_weight_conversion


class LoadError(RuntimeError):
    """A checkpoint could not be loaded; the text names the folder, the reason, and what to do."""


def load_model(
    path: Path | str,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str | None = None,
    quantize: Quantize = "auto",
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a checkpoint: Baichuan 2 7B as published, or any causal language model that transformers has built in.

    Args:
        path: a folder with ``config.json``, weights (``.safetensors`` or ``pytorch_model.bin``, in one file or in
            shards) and a tokenizer.
        dtype: type of the weights; None or "auto" chooses for the device.
        device: where to put them; None chooses the first accelerator, else the CPU.
        quantize: "int8" makes the linear layers' weights one byte each, on the CPU in bfloat16; "auto" does so there;
            "none" never.

    Raises:
        UnsupportedCheckpointError: a kind of model that cannot be run here.
        LoadError: something in the folder is missing or broken.
    """
    path = Path(path)
    register_architecture()
    target = choose_device(str(device) if device is not None else None)
    chosen = dtype if isinstance(dtype, torch.dtype) else choose_dtype(target, dtype or "auto")
    config = _read_config(path)
    try:
        tokenizer = _load_tokenizer(path, config)
        model, found = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            dtype=chosen,
            device_map={"": target},
            trust_remote_code=False,
            weights_only=True,
            local_files_only=True,
            output_loading_info=True,
        )
        if absent := sorted(found["missing_keys"]):  # transformers would go on with random numbers in their place
            raise ValueError(f"{len(absent)} weights are missing, {absent[0]} first")
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise LoadError(
            f"The checkpoint in {path} could not be loaded: {error}\n"
            "If the folder is incomplete or damaged, delete it and run: python download.py"
        ) from error
    if wants_int8(quantize, target, chosen):
        # The unquantized weights make prefill faster, where there is room for both.
        keep_full = 3 * model.get_memory_footprint() < psutil.virtual_memory().available
        quantize_model(model, keep_full)
    return model.eval(), tokenizer


def register_architecture() -> None:
    """Make transformers' Auto classes know Baichuan 2. Calling it again changes nothing."""
    AutoConfig.register(BaichuanConfig.model_type, BaichuanConfig, exist_ok=True)
    AutoModelForCausalLM.register(BaichuanConfig, BaichuanForCausalLM, exist_ok=True)
    AutoTokenizer.register(BaichuanConfig, fast_tokenizer_class=BaichuanTokenizer, exist_ok=True)
    register_weight_conversion()


def _read_config(path: Path) -> Any:
    try:
        raw = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} has no readable config.json, so it is not a checkpoint: {error}") from error
    check_supported(raw)
    model_type = raw.get("model_type")
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        AutoModelForCausalLM._model_mapping[type(config)]
    except (KeyError, ValueError) as error:
        raise UnsupportedCheckpointError(
            f"{path} holds a model of type {model_type!r}, which transformers does not have built in; "
            "its own code is never executed here."
        ) from error
    return config


def _load_tokenizer(path: Path, config: Any) -> PreTrainedTokenizerBase:
    kind = BaichuanTokenizer if isinstance(config, BaichuanConfig) else AutoTokenizer
    return kind.from_pretrained(path, trust_remote_code=False, local_files_only=True)
