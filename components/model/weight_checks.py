"""Whether what is stored is what the configuration describes, asked before a gigabyte is read."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from components.checkpoints.errors import LoadError, UnsupportedCheckpointError
from components.checkpoints.foreign import QUANTIZED_CURE
from components.model.library_errors import explained
from components.model.stored_weights import StoredWeight
from components.model.weights import HEAD, Conversion, to_llama
from components.model.wrong_field import wrong_field_named

LAYER = re.compile(r"^(?:(?:model|transformer|gpt_neox|backbone)\.)?(?:decoder\.)?(?:layers|h|blocks)\.(\d+)\.")
"""The layers of the language model; those of an encoder for pictures beside it have other names."""

PARAMETER = re.compile(LAYER.pattern + r".*(?<!attn)(?<!attention)\.(?:weight|bias)$")
"""Without the causal masks that old models keep under the name ``attn.bias``."""

QUANTIZED = re.compile(
    r"\.(qweight|qzeros|scales|g_idx|SCB|weight_format|absmax|quant_map|nested_absmax|weight_scale|weight_scale_inv)$"
    r"|\.quant_state\."
)
ADAPTER = re.compile(r"\.(lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector)\b")
CURE = "Take config.json and the weights from the same model: python download.py"


def check_usable(weights: Mapping[str, StoredWeight]) -> None:
    """Refuse weights that no configuration makes a model of.

    Raises:
        UnsupportedCheckpointError: they are quantized, or a LoRA adapter is not merged into them.
        LoadError: ZeRO-3 saved empty tensors in their place.
    """
    for name, weight in weights.items():
        is_packed = weight.dtype.itemsize == 1 and len(weight.shape) == 2  # old causal masks have four dimensions
        if is_packed or QUANTIZED.search(name):
            raise UnsupportedCheckpointError(
                f"{weight.file} holds quantized weights ({name}, {weight.dtype}). {QUANTIZED_CURE}"
            )
        if name.endswith(".weight") and not weight.dtype.is_floating_point:
            raise UnsupportedCheckpointError(
                f"{weight.file} holds {name} in {weight.dtype}, and weights are fractions. {CURE}"
            )
        if ADAPTER.search(name):
            raise UnsupportedCheckpointError(
                f"{weight.file} holds a LoRA adapter beside the weights ({name}). Merge it with PEFT's "
                "merge_and_unload() and save the model again with save_pretrained()."
            )
    empty = [(name, weight) for name, weight in weights.items() if 0 in weight.shape]
    if empty:
        name, weight = empty[0]
        raise LoadError(
            f"{weight.file} holds empty weights ({len(empty)}, {name} first): so DeepSpeed ZeRO-3 saves a model whose "
            "parts lie on several devices. Put them together where it was trained, with python zero_to_fp32.py, "
            "or save again with stage3_gather_16bit_weights_on_model_save set to true."
        )


def check_llama(
    folder: Path, config: LlamaConfig, weights: Mapping[str, StoredWeight], convert: Conversion = to_llama
) -> None:
    """See that the weights are, once converted, those of a Llama model of this configuration, and no others.

    Args:
        folder: the checkpoint's.
        config: the model's configuration.
        weights: what is stored.
        convert: what a Llama model has in the place of one stored weight.

    Raises:
        LoadError: the text names what is missing, superfluous, or of another shape.
    """
    with explained(folder / "config.json"), wrong_field_named(folder), torch.device("meta"):
        expected = {name: weight.shape for name, weight in LlamaForCausalLM(config).state_dict().items()}
    if config.tie_word_embeddings:
        del expected[HEAD]
    missing = dict(expected)
    for stored, weight in weights.items():
        for name, part in convert(stored, torch.empty(weight.shape, dtype=weight.dtype, device="meta")).items():
            if name not in expected:
                check_layers(folder, config.num_hidden_layers, weights)
                raise LoadError(
                    f"{folder} is not what its config.json describes: {stored} in {weight.file.name} is not part of "
                    f"such a model. {CURE}"
                )
            if part.shape != expected[name]:
                wanted = list(expected[name]) if name == stored else [3 * expected[name][0], *expected[name][1:]]
                raise LoadError(
                    f"{folder} is not what its config.json describes: {stored} is {list(weight.shape)} in "
                    f"{weight.file.name}, and should be {wanted}. {CURE}"
                )
            missing.pop(name, None)
    if missing:
        check_layers(folder, config.num_hidden_layers, weights)
        raise_missing(folder, missing)


def check_layers(folder: Path, configured: int | None, names: Iterable[str]) -> None:
    """See that as many layers are stored as the configuration has.

    Raises:
        LoadError: there are more, or fewer.
    """
    numbers = {int(match[1]) for name in names if (match := LAYER.search(name))}
    stored = max(numbers, default=-1) + 1
    if configured is not None and numbers and stored != configured:
        raise LoadError(
            f"{folder} is not what its config.json describes: num_hidden_layers is {configured}, and the weights "
            f"have {stored} layers. {CURE}"
        )


def check_loaded(folder: Path, config: Any, found: Mapping[str, Any], weights: Mapping[str, StoredWeight]) -> None:
    """See that transformers took what is stored, all of it, and made nothing up.

    Args:
        folder: the checkpoint's.
        config: the model's configuration.
        found: the loading info of transformers.
        weights: what is stored.

    Raises:
        LoadError: weights are missing, of another shape, or belong to layers that the configuration does not have.
    """
    layers = getattr(config, "num_hidden_layers", None)
    if mismatched := sorted(found["mismatched_keys"]):
        name, stored, wanted = mismatched[0]
        raise LoadError(
            f"{folder} is not what its config.json describes: {name} is {list(stored)}, and should be {list(wanted)} "
            f"({len(mismatched)} such weights). {CURE}"
        )
    if missing := found["missing_keys"]:
        if any(LAYER.search(name) for name in missing):
            check_layers(folder, layers, weights)
        raise_missing(folder, missing)
    if unexpected := sorted(name for name in found["unexpected_keys"] if PARAMETER.search(name)):
        check_layers(folder, layers, weights)
        name = unexpected[0]
        raise LoadError(
            f"{folder} is not what its config.json describes: {name} is stored, and not part of such a model. {CURE}"
        )


def raise_missing(folder: Path, missing: Iterable[str]) -> None:
    """Name what is not stored.

    Raises:
        LoadError: always.
    """
    names = sorted(missing)
    raise LoadError(f"{folder} lacks {len(names)} weights, {names[0]} first. Fetch it again: python download.py")
