"""Writing Baichuan 2 7B as a plain Llama model, for engines that do not know its architecture.

What our loading does every time (see ``weights.py``) is done once and for all, so that the folder loads with no code
of ours. The numbers stay as they are. For what the chat template cannot do, see ``chat_template.py``.
"""

import json
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

from components.checkpoints.errors import CheckpointError, IncompleteCheckpointError
from components.checkpoints.export_folder import building
from components.checkpoints.locate import check_complete, weight_files
from components.checkpoints.remote import LICENCES
from components.model.chat_template import chat_template
from components.model.configuration import BaichuanConfig, UnsupportedCheckpointError, check_supported
from components.model.stored_weights import SHARD_BYTES, read_tensors, write_shards
from components.model.tokenizer import BaichuanTokenizer
from components.model.weights import to_llama

SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens")
SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
SHAPE = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "initializer_range",
    "rms_norm_eps",
    "rope_parameters",
)


def export_llama(source: Path, target: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the checkpoint in ``source`` to the folder ``target``; an earlier export there is replaced.

    Raises:
        UnsupportedCheckpointError: it is no Baichuan 2 7B.
        CheckpointError: it is not whole, ``target`` is taken, or the disk is full; ``target`` is as it was.
    """
    values = _llama_config(source)
    config = LlamaConfig(**values)
    size = sum(file.stat().st_size for file in weight_files(source))
    with building(target, source, size) as folder:
        print(f"Writing {source} as a plain Llama model to {target} …", flush=True)
        with tqdm(total=size, desc="Writing", unit="B", unit_scale=True, leave=False) as progress:
            dtype = write_shards(_llama_weights(source, config, progress), folder, shard_bytes)
        generation = _read_json(source / "generation_config.json")
        _write_tokenizer(source, folder, config, generation)
        defaults = {name: generation[name] for name in SAMPLING if name in generation}
        _write_json(folder / "generation_config.json", {name: getattr(config, name) for name in SPECIAL_IDS} | defaults)
        for file in source.iterdir():
            if file.is_file() and any(fnmatch(file.name, pattern) for pattern in LICENCES):
                shutil.copy(file, folder)
        # Last: without it, no folder is a checkpoint. Older versions of transformers look for torch_dtype.
        _write_json(folder / "config.json", values | dict.fromkeys(["dtype", "torch_dtype"], str(dtype).split(".")[-1]))
    print(f"{target} is complete. vLLM serves it with: vllm serve {target}")


def _llama_config(source: Path) -> dict[str, Any]:
    """What ``config.json`` is to say, all of it spelt out: defaults differ between versions and engines."""
    try:
        check_complete(source)
    except IncompleteCheckpointError as error:
        raise CheckpointError(f"{source} cannot be exported: {error}") from error
    raw = _read_json(source / "config.json")
    check_supported(raw)
    if (model_type := raw.get("model_type")) != BaichuanConfig.model_type:
        raise UnsupportedCheckpointError(
            f"{source} holds a model of type {model_type!r}, not Baichuan 2, so there is nothing to convert. "
            f"Give the folder to the other engine as it is: vllm serve {source}"
        )
    config = BaichuanConfig.from_dict(raw)
    return {
        "architectures": [LlamaForCausalLM.__name__],
        "model_type": LlamaConfig.model_type,
        **{name: getattr(config, name) for name in (*SHAPE, *SPECIAL_IDS)},
        "rope_theta": config.rope_parameters["rope_theta"],  # transformers 4 looks here, 5 in rope_parameters
        "max_position_embeddings": config.model_max_length,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
    }


def _llama_weights(source: Path, config: LlamaConfig, progress: "tqdm[Any]") -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight of the Llama model, once and in its shape.

    Raises:
        CheckpointError: the checkpoint has other weights than its configuration asks for.
    """
    with torch.device("meta"):
        missing = {name: weight.shape for name, weight in LlamaForCausalLM(config).state_dict().items()}
    for stored, tensor in read_tensors(source):
        for name, weight in to_llama(stored, tensor).items():
            if missing.pop(name, None) != weight.shape:
                raise CheckpointError(
                    f"{source} is not what its config.json describes: {stored} is {list(tensor.shape)}, or is not "
                    "part of such a model. Fetch it again: python download.py"
                )
            yield name, weight
        progress.update(tensor.nbytes)
    if missing:
        raise CheckpointError(
            f"{source} lacks {len(missing)} weights, {min(missing)} first. Fetch it again: python download.py"
        )


def _write_tokenizer(source: Path, folder: Path, config: LlamaConfig, generation: dict[str, Any]) -> None:
    """Write the tokenizer in the one form that every version of transformers loads, with the chat template.

    A checkpoint without role tokens was not made for chatting, and gets no template.
    """
    try:
        tokenizer = BaichuanTokenizer.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The tokenizer in {source} cannot be read ({error}). Fetch it again: python download.py"
        ) from error
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    values = {name: str(getattr(tokenizer, name)) for name in SPECIAL_TOKENS} | {
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 5 gives it another name, and knows this one
        "model_input_names": BaichuanTokenizer.model_input_names,
        "model_max_length": config.max_position_embeddings,
        "clean_up_tokenization_spaces": False,
    }
    role_ids = [generation.get("user_token_id"), generation.get("assistant_token_id")]
    if None not in role_ids:
        template = chat_template(*tokenizer.convert_ids_to_tokens(role_ids))
        values["chat_template"] = template  # where older versions look
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", values)


def _read_json(file: Path) -> dict[str, Any]:
    """The content of a file; nothing if there is none.

    Raises:
        CheckpointError: it is not JSON.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CheckpointError(f"{file} cannot be read ({error}). Fetch it again: python download.py") from error
    return content


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
