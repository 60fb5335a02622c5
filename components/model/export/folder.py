"""Writing Baichuan 2 7B as a plain Llama model, for engines that do not know its architecture.

What our loading does every time (see ``weights.py``) is done once and for all, so that the folder loads with no code
of ours. The numbers stay as they are. For what the chat template cannot do, see ``chat_template.py``.
"""

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tqdm import tqdm

from components.checkpoints.errors import UnsupportedCheckpointError
from components.checkpoints.export_target import building
from components.checkpoints.remote import LICENCES
from components.checkpoints.weight_files import weight_files
from components.model.configuration import BaichuanConfig
from components.model.export.as_llama import SPECIAL_IDS, llama_config, llama_weights, role_template
from components.model.opening import OpenedCheckpoint, open_checkpoint, open_config, register_architecture
from components.model.shards import SHARD_BYTES, write_shards
from components.model.tokenizer import BaichuanTokenizer

SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens")
SPECIAL_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


def export_llama(source: Path, target: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the checkpoint in ``source`` to the folder ``target``; an earlier export there is replaced.

    Raises:
        UnsupportedCheckpointError: it is no Baichuan 2 7B.
        CheckpointError: it is not whole or damaged, ``target`` is taken, or cannot be written, as on a full disk;
            ``target`` is as it was.
    """
    size = _check_source(source)
    with building(target, source, size) as folder:
        checkpoint = open_checkpoint(source)
        values = llama_config(checkpoint.config)
        print(f"Writing {source} as a plain Llama model to {target} …", flush=True)
        with tqdm(total=size, desc="Writing", unit="B", unit_scale=True, leave=False) as progress:
            dtype = write_shards(llama_weights(checkpoint.weights, progress), folder, shard_bytes)
        _write_tokenizer(checkpoint, folder)
        generation = {name: checkpoint.generation.get(name, getattr(checkpoint.config, name)) for name in SPECIAL_IDS}
        generation |= {name: checkpoint.generation[name] for name in SAMPLING if name in checkpoint.generation}
        _write_json(folder / "generation_config.json", generation)
        for file in source.iterdir():
            if file.is_file() and any(fnmatch(file.name, pattern) for pattern in LICENCES):
                shutil.copy(file, folder)
        # Last: without it, no folder is a checkpoint. Older versions of transformers look for torch_dtype.
        _write_json(folder / "config.json", values | dict.fromkeys(["dtype", "torch_dtype"], str(dtype).split(".")[-1]))
    print(f"{target} is complete. vLLM serves it with: vllm serve {target}")


def _check_source(source: Path) -> int:
    """See that there is something to export; return its weights' size in bytes."""
    register_architecture()
    _, config = open_config(source)
    if not isinstance(config, BaichuanConfig):
        raise UnsupportedCheckpointError(
            f"{source} holds a model of type {config.model_type!r}, not Baichuan 2, so there is nothing to convert. "
            f"Give the folder to the other engine as it is: vllm serve {source}"
        )
    return sum(file.stat().st_size for file in weight_files(source))


def _write_tokenizer(checkpoint: OpenedCheckpoint, folder: Path) -> None:
    """Write the tokenizer in the one form that every version of transformers loads, with the chat template.

    A checkpoint without role tokens was not made for chatting, and gets no template.
    """
    tokenizer = checkpoint.tokenizer
    (folder / "tokenizer.json").write_text(tokenizer.backend_tokenizer.to_str(pretty=True), encoding="utf-8")
    values = {name: str(getattr(tokenizer, name)) for name in SPECIAL_TOKENS} | {
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 5 gives it another name, and knows this one
        "model_input_names": BaichuanTokenizer.model_input_names,
        "model_max_length": checkpoint.config.model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    if template := role_template(checkpoint):
        values["chat_template"] = template  # where older versions look
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", values)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
