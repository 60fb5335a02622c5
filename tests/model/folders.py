"""Checkpoint folders as people have them, made from the tiny one."""

import gzip
import json
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tests.tiny import TINY_PATH

Weights = dict[str, torch.Tensor]
Change = Callable[["Folder"], object]

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 15012345678\n"
)
LOGIN_PAGE = b"\n<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>" + b" " * 600


class Folder:
    """A copy of the tiny checkpoint to take apart."""

    def __init__(self, path: Path) -> None:
        self.path = Path(shutil.copytree(TINY_PATH, path))

    def read(self, name: str = "config.json") -> dict[str, Any]:
        """The content of a JSON file."""
        content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return content

    def edit(self, name: str = "config.json", **changes: Any) -> "Folder":
        """Change fields of a JSON file; ``...`` takes one out."""
        content = self.read(name) | changes
        return self.write(name, json.dumps({key: value for key, value in content.items() if value is not ...}))

    def write(self, name: str, content: bytes | str) -> "Folder":
        """Put a file there, or something else in its place."""
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def remove(self, name: str) -> "Folder":
        """Take a file away."""
        (self.path / name).unlink()
        return self

    def take_weights(self) -> Weights:
        """The weights, taken out of the folder."""
        file = self.path / "pytorch_model.bin"
        weights: Weights = torch.load(file, weights_only=True)
        file.unlink()
        return {name: weight.clone() for name, weight in weights.items()}

    def pickle(
        self, content: object, name: str = "pytorch_model.bin", legacy: bool = False, protocol: int = 2
    ) -> "Folder":
        """Save anything with torch, in the zipped form or in the one before."""
        torch.save(content, self.path / name, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
        return self

    def safetensors(self, weights: Weights, name: str = "model.safetensors") -> "Folder":
        """Save weights as safetensors."""
        save_file(weights, self.path / name, metadata={"format": "pt"})
        return self

    def as_safetensors(self) -> bytes:
        """Put the weights into one safetensors file; return its content."""
        self.safetensors(self.take_weights())
        return (self.path / "model.safetensors").read_bytes()

    def as_shards(
        self, form: str = "model-{:05}-of-{:05}.safetensors", index: bool = True, parts: int = 3
    ) -> list[str]:
        """Put the weights into shards; return their names."""
        weights = self.take_weights()
        names = [form.format(number, parts) for number in range(1, parts + 1)]
        places: dict[str, str] = {}
        for number, name in enumerate(names):
            part = {key: weights[key] for key in sorted(weights)[number::parts]}
            places |= dict.fromkeys(part, name)
            self.safetensors(part, name) if name.endswith(".safetensors") else self.pickle(part, name)
        if index:
            whole = "model.safetensors" if names[0].endswith(".safetensors") else "pytorch_model.bin"
            self.write(f"{whole}.index.json", json.dumps({"metadata": {}, "weight_map": places}))
        return names

    def rename_weights(self, rename: Callable[[str], str]) -> "Folder":
        """Save the weights under other names."""
        return self.pickle({rename(name): weight for name, weight in self.take_weights().items()})

    def resave(self, change: Callable[[Weights], object]) -> "Folder":
        """Change the weights."""
        weights = self.take_weights()
        change(weights)
        return self.pickle(weights)

    def zip_anew(self) -> "Folder":
        """Compress the archive that torch wrote."""
        file = self.path / "pytorch_model.bin"
        with zipfile.ZipFile(file) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return self


def layer_three(weights: Weights) -> None:
    """Add a fourth layer, a copy of the third."""
    weights |= {name.replace("layers.2", "layers.3"): weight for name, weight in weights.items() if "layers.2" in name}


UP = "model.layers.1.mlp.up_proj.weight"
LAST_SHARD = "model-00003-of-00003.safetensors"

RUN: dict[str, Change] = {
    "safetensors": lambda folder: folder.as_safetensors(),
    "shards": lambda folder: folder.as_shards(),
    "pickled shards": lambda folder: folder.as_shards("pytorch_model-{:05}-of-{:05}.bin"),
    "shards without an index": lambda folder: folder.as_shards(index=False),
    "pickled shards without an index": lambda folder: folder.as_shards("pytorch_model-{:05}-of-{:05}.bin", index=False),
    "half a set of shards beside a whole file": lambda folder: (
        folder.pickle(folder.take_weights(), "kept.bin"),
        shutil.copy(folder.path / "kept.bin", folder.path / "pytorch_model.bin"),
        folder.as_shards(),
        folder.remove(LAST_SHARD),
        (folder.path / "kept.bin").rename(folder.path / "pytorch_model.bin"),
    ),
    "before torch 1.6": lambda folder: folder.pickle(folder.take_weights(), legacy=True),
    "state_dict": lambda folder: folder.pickle({"state_dict": folder.take_weights(), "epoch": 3}),
    "model": lambda folder: folder.pickle({"model": folder.take_weights(), "optimizer": {"lr": 0.1}}, legacy=True),
    "module": lambda folder: folder.pickle({"module": folder.take_weights(), "dp_world_size": 8}),
    "nested": lambda folder: folder.pickle({"model": {"state_dict": folder.take_weights()}}),
    "net": lambda folder: folder.pickle({"net": folder.take_weights(), "epoch": 3}),
    "params of an ema": lambda folder: folder.pickle({"ema": {"params": folder.take_weights(), "decay": 0.9}}),
    "weights beside an optimizer": lambda folder: folder.pickle(
        {"network": folder.take_weights(), "optimizer": {"lr": torch.ones(1)}, "step": torch.tensor(7)}
    ),
    "parameters": lambda folder: folder.resave(
        lambda weights: weights.update({name: torch.nn.Parameter(weight) for name, weight in weights.items()})
    ),
    "parameters before torch 1.6": lambda folder: folder.pickle(
        {name: torch.nn.Parameter(weight) for name, weight in folder.take_weights().items()}, legacy=True
    ),
    "tensors that want gradients": lambda folder: folder.resave(
        lambda weights: [weight.requires_grad_() for weight in weights.values()]
    ),
    "columns first": lambda folder: folder.resave(
        lambda weights: weights.update(
            {name: weight.mT.contiguous().mT for name, weight in weights.items() if weight.ndim > 1}
        )
    ),
    "safetensors under the name of a pickle": lambda folder: folder.safetensors(
        folder.take_weights(), "pytorch_model.bin"
    ),
    "DataParallel": lambda folder: folder.rename_weights("module.{}".format),
    "torch.compile": lambda folder: folder.rename_weights("_orig_mod.{}".format),
    "compiled and parallel": lambda folder: folder.rename_weights("module._orig_mod.{}".format),
    "FSDP": lambda folder: folder.rename_weights(
        lambda name: "_fsdp_wrapped_module." + name.replace("layers.1.", "layers.1._fsdp_wrapped_module.")
    ),
    "Lightning": lambda folder: folder.pickle(
        {"state_dict": {f"model.{name}": weight for name, weight in folder.take_weights().items()}, "epoch": 1}
    ),
    "backbone names": lambda folder: folder.rename_weights(lambda name: name.removeprefix("model.")),
    "no rotary frequencies": lambda folder: folder.resave(
        lambda weights: [weights.pop(name) for name in list(weights) if name.endswith("inv_freq")]
    ),
    "called tied, with a head": lambda folder: folder.edit(tie_word_embeddings=True),
    "byte-order mark": lambda folder: folder.write("config.json", "\ufeff" + json.dumps(folder.read())),
    "no generation config": lambda folder: folder.remove("generation_config.json"),
    "a stray adapter config": lambda folder: folder.write("adapter_config.json", "{}"),
    "several end tokens": lambda folder: folder.edit("generation_config.json", eos_token_id=[2, 196]),
    "no token to end with": lambda folder: folder.edit("generation_config.json", eos_token_id=-1).edit(eos_token_id=-1),
    "an end token that is none": lambda folder: folder.edit("generation_config.json", eos_token_id=[2, -1]),
    "only end tokens that are none": lambda folder: folder.edit("generation_config.json", eos_token_id=[-1]),
    "no special tokens at all": lambda folder: folder.edit(
        "generation_config.json", eos_token_id=-1, bos_token_id=-1, pad_token_id=-1
    ).edit(eos_token_id=[-1], bos_token_id=-1, pad_token_id=-1),
    "tokens of config.json beyond the vocabulary": lambda folder: folder.edit(eos_token_id=5000, bos_token_id=4096),
    "no quantization": lambda folder: folder.edit(quantization_config={}),
    "no quantization in a list": lambda folder: folder.edit(quantization_config=[], compression_config={}),
    "no activation named": lambda folder: folder.edit(hidden_act=...),
    "quantization switched off": lambda folder: folder.edit(quantization_config=None),
}
"""Folders that run, and are exported, just as the tiny checkpoint is."""


def _quantization(**values: Any) -> Change:
    return lambda folder: folder.edit(quantization_config=values)


def _in_place_of(name: str, content: bytes | str) -> Change:
    return lambda folder: folder.write(name, content)


def _config(**changes: Any) -> Change:
    return lambda folder: folder.edit(**changes)


def _truncated(keep: int) -> Change:
    return lambda folder: folder.write("model.safetensors", folder.as_safetensors()[:keep])


def _truncated_pickle(keep: int, legacy: bool) -> Change:
    def change(folder: Folder) -> None:
        folder.pickle(folder.take_weights(), legacy=legacy)
        folder.write("pytorch_model.bin", (folder.path / "pytorch_model.bin").read_bytes()[:keep])

    return change


def _file_in_place_of_weights(content: bytes) -> Change:
    return lambda folder: (folder.as_safetensors(), folder.write("model.safetensors", content))


def _lora(folder: Folder) -> Folder:
    folder.remove("pytorch_model.bin")
    folder.write("adapter_config.json", '{"base_model_name_or_path": "baichuan-inc/Baichuan2-7B-Chat"}')
    return folder.safetensors({"base_model.model.lora_A.weight": torch.ones(2)}, "adapter_model.safetensors")


def _only(name: str) -> Change:
    def change(folder: Folder) -> None:
        folder.remove("pytorch_model.bin")
        folder.write(name, b"content")

    return change


def _one_down(folder: Folder) -> None:
    inner = folder.path / "checkpoint-500"
    inner.mkdir()
    for name in ("config.json", "pytorch_model.bin"):
        (folder.path / name).rename(inner / name)


def _set(name: str, weight: torch.Tensor | None) -> Change:
    return lambda folder: folder.resave(
        lambda weights: weights.pop(name) if weight is None else weights.update({name: weight})
    )


LINK = "link that leads nowhere"


def _link(name: str) -> Change:
    """As in a hub's cache that was copied without its blobs."""

    def change(folder: Folder) -> None:
        (folder.path / name).unlink(missing_ok=True)
        (folder.path / name).symlink_to("../blobs/4d7a214614ab")

    return change


def _directory(name: str) -> Change:
    def change(folder: Folder) -> None:
        folder.remove(name)
        (folder.path / name).mkdir()

    return change


def _numpy_archive(folder: Folder) -> None:
    with (folder.path / "pytorch_model.bin").open("wb") as file:
        np.savez(file, weight=np.ones(3))


def _script(folder: Folder) -> None:
    with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):  # for there is something newer
        torch.jit.script(torch.nn.Linear(2, 2)).save(folder.path / "pytorch_model.bin")  # type: ignore[no-untyped-call]


def _quantized_by_torch(folder: Folder) -> None:
    with warnings.catch_warnings(category=UserWarning, action="ignore"):  # that it will go
        _set(UP, torch.quantize_per_tensor(torch.ones(172, 64), 0.1, 0, torch.qint8))(folder)


REFUSED: dict[str, tuple[Change, list[str]]] = {
    # The weights' files.
    "empty safetensors": (_file_in_place_of_weights(b""), ["model.safetensors", "empty"]),
    "pointer for safetensors": (_file_in_place_of_weights(LFS_POINTER), ["model.safetensors", "git lfs pull"]),
    "page for safetensors": (_file_in_place_of_weights(LOGIN_PAGE), ["model.safetensors", "web page"]),
    "error for safetensors": (_file_in_place_of_weights(b"Entry not found"), ["model.safetensors", "Entry not found"]),
    "zeros for safetensors": (_file_in_place_of_weights(bytes(5000)), ["model.safetensors", "zeros"]),
    "noise for safetensors": (_file_in_place_of_weights(b"\xff\xfe" * 500), ["model.safetensors", "download.py"]),
    "huge header": (_file_in_place_of_weights(b"\0\0\0\0\0\0\xff\x7f" + b"{}" * 99), ["model.safetensors"]),
    "safetensors cut in the header": (_truncated(60), ["model.safetensors", "download.py"]),
    "safetensors cut in the weights": (_truncated(100_000), ["model.safetensors", "download.py"]),
    "empty pickle": (_in_place_of("pytorch_model.bin", b""), ["pytorch_model.bin", "empty"]),
    "pointer for a pickle": (_in_place_of("pytorch_model.bin", LFS_POINTER), ["pytorch_model.bin", "git lfs pull"]),
    "page for a pickle": (_in_place_of("pytorch_model.bin", LOGIN_PAGE), ["pytorch_model.bin", "web page"]),
    "noise for a pickle": (_in_place_of("pytorch_model.bin", b"\x80\x02\xfe\xfd" * 99), ["pytorch_model.bin"]),
    "cut zip": (_truncated_pickle(100_000, legacy=False), ["pytorch_model.bin", "download.py"]),
    "cut old pickle, names": (_truncated_pickle(300, legacy=True), ["pytorch_model.bin"]),
    "cut old pickle, weights": (_truncated_pickle(100_000, legacy=True), ["pytorch_model.bin", "download.py"]),
    "protocol 4": (
        lambda folder: folder.write("pytorch_model.bin", pickle.dumps({"a": 1}, 4)),
        ["pytorch_model.bin"],
    ),
    "pickle protocol 4 by torch": (
        lambda folder: folder.pickle(folder.take_weights(), protocol=4),
        ["pytorch_model.bin", "protocol 4", "pickle_protocol"],
    ),
    "pickle protocol 5, before torch 1.6": (
        lambda folder: folder.pickle(folder.take_weights(), legacy=True, protocol=5),
        ["pytorch_model.bin", "protocol 5", "pickle_protocol"],
    ),
    "TorchScript": (_script, ["pytorch_model.bin", "TorchScript", "state_dict"]),
    "pickled under the name of safetensors": (
        lambda folder: folder.pickle(folder.take_weights(), "model.safetensors"),
        ["model.safetensors", "torch.save", "Rename", "pytorch_model.bin"],
    ),
    "pickled so before torch 1.6": (
        lambda folder: folder.pickle(folder.take_weights(), "model.safetensors", legacy=True),
        ["model.safetensors", "torch.save", "Rename", "pytorch_model.bin"],
    ),
    "a zip of a folder": (
        lambda folder: (
            shutil.make_archive(str(folder.path / "it"), "zip", folder.path, "config.json"),
            (folder.path / "it.zip").rename(folder.path / "pytorch_model.bin"),
        ),
        ["pytorch_model.bin", "zip archive", "config.json", "unpack"],
    ),
    "NumPy's archive": (_numpy_archive, ["pytorch_model.bin", "weight.npy"]),
    "NumPy's array": (
        lambda folder: folder.write("pytorch_model.bin", b"\x93NUMPY" + bytes(range(256))),
        ["pytorch_model.bin", "NumPy"],
    ),
    "GGUF in its place": (
        lambda folder: folder.write("pytorch_model.bin", b"GGUF\x03\0\0\0" + bytes(range(256))),
        ["pytorch_model.bin", ".gguf"],
    ),
    "gzip": (
        lambda folder: folder.write("pytorch_model.bin", gzip.compress(b"content")),
        ["pytorch_model.bin", "gzip", "unpack"],
    ),
    "two sets of weights": (
        lambda folder: folder.pickle({"params": (weights := folder.take_weights()), "params_ema": dict(weights)}),
        ["pytorch_model.bin", "params, params_ema", "state_dict"],
    ),
    "a whole module": (lambda folder: folder.pickle(torch.nn.Linear(2, 2)), ["Linear", "never loaded", "state_dict"]),
    "a list": (lambda folder: folder.pickle([torch.ones(2)]), ["pytorch_model.bin", "no weights"]),
    "no tensors": (lambda folder: folder.pickle({"epoch": 3}), ["pytorch_model.bin", "no weights"]),
    "zipped anew": (lambda folder: folder.zip_anew(), ["pytorch_model.bin", "compressed"]),
    "a shard is missing": (
        lambda folder: (folder.as_shards(), folder.remove(LAST_SHARD)),
        ["lacks 1 of 3", LAST_SHARD],
    ),
    "a shard is missing, and the index": (
        lambda folder: (folder.as_shards(index=False), folder.remove(LAST_SHARD)),
        ["lacks 1 of 3", LAST_SHARD],
    ),
    "a shard is damaged": (
        lambda folder: (folder.as_shards(), folder.write(LAST_SHARD, LFS_POINTER)),
        [LAST_SHARD, "git lfs pull"],
    ),
    "the index is a pointer": (
        lambda folder: (folder.as_shards(), folder.write("model.safetensors.index.json", LFS_POINTER)),
        ["model.safetensors.index.json", "git lfs pull"],
    ),
    "the index is empty": (
        lambda folder: (folder.as_shards(), folder.write("model.safetensors.index.json", "{}")),
        ["model.safetensors.index.json", "weight_map"],
    ),
    "the index leads elsewhere": (
        lambda folder: (
            folder.as_shards(),
            folder.write("model.safetensors.index.json", '{"weight_map": {"a": "../model.safetensors"}}'),
        ),
        ["../model.safetensors", "no file of this folder"],
    ),
    "the weights are a link that leads nowhere": (_link("pytorch_model.bin"), ["pytorch_model.bin", LINK, "../blobs"]),
    "safetensors are a link that leads nowhere": (
        lambda folder: (folder.as_safetensors(), _link("model.safetensors")(folder)),
        ["model.safetensors", LINK],
    ),
    "a shard is a link that leads nowhere": (
        lambda folder: (folder.as_shards(), _link(LAST_SHARD)(folder)),
        ["lacks 1 of 3", LAST_SHARD, LINK],
    ),
    "all shards are, and the index": (
        lambda folder: [_link(name)(folder) for name in [*folder.as_shards(), "model.safetensors.index.json"]],
        ["lacks 3 of 3", "model-00001-of-00003.safetensors", LINK],
    ),
    "only an index is there, a link that leads nowhere": (
        lambda folder: (folder.remove("pytorch_model.bin"), _link("pytorch_model.bin.index.json")(folder)),
        ["pytorch_model.bin.index.json", LINK],
    ),
    "a shard is a link that leads nowhere, without an index": (
        lambda folder: (folder.as_shards(index=False), _link(LAST_SHARD)(folder)),
        ["lacks 1 of 3", LAST_SHARD, LINK],
    ),
    "the weights are a folder": (_directory("pytorch_model.bin"), ["pytorch_model.bin", "is a folder"]),
    "the weights are a folder of another name": (
        lambda folder: (folder.remove("pytorch_model.bin").path / "weights.safetensors").mkdir(),
        ["no weights", "download.py"],
    ),
    "the config is a link that leads nowhere": (_link("config.json"), ["config.json", LINK]),
    "the config is a folder": (_directory("config.json"), ["config.json", "is a folder"]),
    "the generation config is a link that leads nowhere": (
        _link("generation_config.json"),
        ["generation_config.json", LINK],
    ),
    "the generation config is a folder": (_directory("generation_config.json"), ["generation_config.json", "folder"]),
    "the tokenizer is a link that leads nowhere": (_link("tokenizer.model"), ["tokenizer.model", LINK]),
    "the tokenizer is a folder": (_directory("tokenizer.model"), ["tokenizer.model", "is a folder"]),
    "the tokenizer's config is a link that leads nowhere": (
        _link("tokenizer_config.json"),
        ["tokenizer_config.json", LINK],
    ),
    # What is in them.
    "ZeRO-3": (_set(UP, torch.empty(0)), [UP, "ZeRO-3", "zero_to_fp32.py"]),
    "ZeRO-3, all of it": (
        lambda folder: folder.resave(lambda weights: weights.update({name: torch.empty(0) for name in weights})),
        ["(27, ", "ZeRO-3"],
    ),
    "a weight is missing": (_set(UP, None), ["lacks 1 weights", UP]),
    "the head is missing": (_set("lm_head.weight", None), ["lm_head.weight"]),
    "the norm is missing": (_set("model.norm.weight", None), ["model.norm.weight"]),
    "another shape": (_set(UP, torch.ones(171, 64)), [UP, "[171, 64]", "[172, 64]"]),
    "another W_pack": (_set("model.layers.0.self_attn.W_pack.weight", torch.ones(128, 64)), ["W_pack", "[192, 64]"]),
    "a foreign weight": (_set("model.layers.1.mlp.fourth.weight", torch.ones(2)), ["fourth"]),
    "a bias": (_set("model.layers.1.mlp.up_proj.bias", torch.ones(172)), ["up_proj.bias"]),
    "sparse weights": (_set(UP, torch.ones(172, 64).to_sparse()), ["pytorch_model.bin", UP, "sparse", "to_dense"]),
    "weights on no device": (_set(UP, torch.ones(172, 64, device="meta")), [UP, "meta", "no numbers"]),
    "complex weights": (_set(UP, torch.ones(172, 64, dtype=torch.complex64)), [UP, "complex64"]),
    "whole numbers": (_set(UP, torch.ones(172, 64, dtype=torch.int64)), [UP, "int64"]),
    "torch's quantized weights": (_quantized_by_torch, [UP, "quantized", "qint8"]),
    "int8 weights": (_set(UP, torch.ones(172, 64, dtype=torch.int8)), [UP, "quantized", "int8"]),
    "fp8 weights": (_set(UP, torch.ones(172, 64).to(torch.float8_e4m3fn)), [UP, "quantized", "float8_e4m3fn"]),
    "uint8 weights": (_set("lm_head.weight", torch.ones(64, 64, dtype=torch.uint8)), ["lm_head", "quantized"]),
    "packed weights": (_set("model.layers.1.mlp.up_proj.qweight", torch.ones(2, 2)), ["qweight", "Quantized"]),
    "an adapter inside": (_set("model.layers.1.mlp.up_proj.lora_A.default.weight", torch.ones(2, 2)), ["merge"]),
    "more layers stored": (
        lambda folder: folder.resave(layer_three),
        ["num_hidden_layers is 3", "4 layers"],
    ),
    "fewer layers configured": (_config(num_hidden_layers=2), ["num_hidden_layers is 2", "3 layers"]),
    "more layers configured": (_config(num_hidden_layers=5), ["num_hidden_layers is 5", "3 layers"]),
    "another width": (_config(hidden_size=128), ["[4096, 64]", "[4096, 128]"]),
    # Kinds that cannot be loaded.
    "4 bits": (_quantization(load_in_4bit=True), ["4-bit bitsandbytes", "BAICHUAN_ENGINE=openai"]),
    "8 bits": (_quantization(load_in_8bit=True, quant_method="bitsandbytes"), ["8-bit bitsandbytes", "Baichuan2-7B"]),
    "GPTQ": (_quantization(quant_method="gptq", bits=4), ["GPTQ", "Baichuan2-7B-Chat", "vLLM"]),
    "AWQ": (_quantization(quant_method="awq", bits=4), ["AWQ", "Baichuan2-7B-Chat"]),
    "FP8": (_quantization(quant_method="fp8"), ["fp8", "Baichuan2-7B-Chat"]),
    "a method nobody knows": (_quantization(bits=3), ["unknown method"]),
    "GPTQ as it was": (_in_place_of("quantize_config.json", '{"bits": 4}'), ["GPTQ"]),
    "AWQ as it was": (_in_place_of("quant_config.json", '{"w_bit": 4}'), ["AWQ"]),
    "MLX": (_config(quantization={"bits": 4, "group_size": 64}), ["MLX"]),
    "LoRA": (_lora, ["LoRA", "baichuan-inc/Baichuan2-7B-Chat", "merge_and_unload"]),
    "LoRA without a config": (lambda folder: (_lora(folder), folder.remove("config.json")), ["LoRA"]),
    "GPTQ under its own name": (_only("gptq_model-4bit-128g.safetensors"), ["GPTQ", "Baichuan2-7B-Chat"]),
    "AWQ without weights here": (
        lambda folder: (
            _only("consolidated.safetensors")(folder),
            folder.edit(quantization_config={"quant_method": "awq"}),
        ),
        ["AWQ"],
    ),
    "weights under another name": (_only("weights.safetensors"), ["rename weights.safetensors", "model.safetensors"]),
    "no weights": (lambda folder: folder.remove("pytorch_model.bin"), ["no weights", "download.py"]),
    "GGUF": (_only("baichuan2-7b.Q4_0.gguf"), ["GGUF", "llama.cpp"]),
    "TensorFlow": (_only("tf_model.h5"), ["TensorFlow"]),
    "the authors' own form": (_only("consolidated.00.pth"), [".pth"]),
    "DeepSpeed": (_only("zero_to_fp32.py"), ["DeepSpeed", "zero_to_fp32.py ."]),
    "FSDP in parts": (_only("__0_0.distcp"), ["FSDP", "merge-weights"]),
    "a folder further down": (_one_down, ["checkpoint-500"]),
    # config.json.
    "no config": (lambda folder: folder.remove("config.json"), ["no config.json"]),
    "config is empty": (_in_place_of("config.json", b""), ["config.json", "empty"]),
    "config is a pointer": (_in_place_of("config.json", LFS_POINTER), ["config.json", "git lfs pull"]),
    "config is a page": (_in_place_of("config.json", LOGIN_PAGE), ["config.json", "web page"]),
    "config is cut": (_in_place_of("config.json", '{"model_type": "baich'), ["config.json", "not JSON"]),
    "config is binary": (_in_place_of("config.json", b"\xff\xfe\x00\x01"), ["config.json"]),
    "config is a list": (_in_place_of("config.json", "[1, 2]"), ["config.json", "a list"]),
    "config is null": (_in_place_of("config.json", "null"), ["config.json", "null"]),
    "config is deep": (_in_place_of("config.json", "[" * 100_000), ["config.json"]),
    "config is of no model": (_in_place_of("config.json", "{}"), ["config.json", "model_type is missing"]),
    "model type is a number": (_config(model_type=7), ["config.json", "model_type is 7"]),
    "model type is a list": (_config(model_type=["baichuan"]), ["config.json", "model_type"]),
    "width is a text": (_config(hidden_size="64"), ["config.json", "hidden_size is '64'"]),
    "width is nothing": (_config(hidden_size=0), ["config.json", "hidden_size is 0"]),
    "width is a fraction": (_config(hidden_size=64.5), ["config.json", "hidden_size is 64.5"]),
    "heads are a list": (_config(num_attention_heads=[4]), ["config.json", "num_attention_heads is [4]"]),
    "heads do not fit": (_config(num_attention_heads=5), ["hidden_size 64", "num_attention_heads 5"]),
    "layers below nothing": (_config(num_hidden_layers=-3), ["config.json", "num_hidden_layers is -3"]),
    "layers without end": (_config(num_hidden_layers=10**12), ["config.json", "num_hidden_layers"]),
    "positions without end": (_config(max_position_embeddings=10**12), ["config.json", "max_position_embeddings"]),
    "context without end": (_config(model_max_length=10**12), ["config.json", "model_max_length"]),
    "tokens without end": (_config(vocab_size=10**12), ["config.json", "vocab_size"]),
    "unknown activation": (_config(hidden_act="swish_of_mine"), ["config.json", "hidden_act is 'swish_of_mine'"]),
    "epsilon is a text": (_config(rms_norm_eps="tiny"), ["config.json", "rms_norm_eps is 'tiny'"]),
    "epsilon is not a number": (_config(rms_norm_eps=float("nan")), ["config.json", "rms_norm_eps"]),
    "scaling is a text": (_config(rope_scaling="linear"), ["config.json", "rope_scaling is 'linear'"]),
    "scaling is unknown": (_config(rope_scaling={"rope_type": "mine", "factor": 2.0}), ["config.json", "mine"]),
    "tied is a text": (_config(tie_word_embeddings="no"), ["config.json", "tie_word_embeddings is 'no'"]),
    "padding beyond the vocabulary": (_config(pad_token_id=5000), ["config.json", "pad_token_id is 5000"]),
    "architectures are a text": (_config(architectures="BaichuanForCausalLM"), ["config.json", "architectures"]),
    # generation_config.json.
    "generation is cut": (_in_place_of("generation_config.json", '{"top_k"'), ["generation_config.json", "not JSON"]),
    "generation is a list": (_in_place_of("generation_config.json", "[]"), ["generation_config.json", "a list"]),
    "a hot temperature": (
        lambda folder: folder.edit("generation_config.json", temperature="hot"),
        ["generation_config.json", "temperature is 'hot'"],
    ),
    "no end token": (
        lambda folder: folder.edit("generation_config.json", eos_token_id=[]),
        ["generation_config.json", "eos_token_id is []"],
    ),
    "an end token beyond": (
        lambda folder: folder.edit("generation_config.json", eos_token_id=[2, 5000]),
        ["generation_config.json", "eos_token_id", "4096"],
    ),
    "a role beyond": (
        lambda folder: folder.edit("generation_config.json", user_token_id=125_000),
        ["generation_config.json", "user_token_id", "4096"],
    ),
    # The tokenizer.
    "no tokenizer": (lambda folder: folder.remove("tokenizer.model"), ["tokenizer.model"]),
    "tokenizer is a pointer": (_in_place_of("tokenizer.model", LFS_POINTER), ["tokenizer.model", "git lfs pull"]),
    "tokenizer is a page": (_in_place_of("tokenizer.model", LOGIN_PAGE), ["tokenizer.model", "web page"]),
    "tokenizer is empty": (_in_place_of("tokenizer.model", b""), ["tokenizer.model", "empty"]),
    "tokenizer is noise": (_in_place_of("tokenizer.model", b"\xff" * 900), ["tokenizer.model"]),
    "tokenizer.json is cut": (_in_place_of("tokenizer.json", '{"version": "1.0", "model'), ["tokenizer.json"]),
    "tokenizer_config is a list": (_in_place_of("tokenizer_config.json", "[]"), ["tokenizer_config.json"]),
    "a larger tokenizer": (
        lambda folder: (
            folder.edit(vocab_size=4000),
            folder.resave(
                lambda weights: weights.update(
                    {name: weights[name][:4000] for name in ("model.embed_tokens.weight", "lm_head.weight")}
                )
            ),
        ),
        ["tokenizer", "4096", "4000"],
    ),
}
"""Folders that are refused, and what the message must name."""
