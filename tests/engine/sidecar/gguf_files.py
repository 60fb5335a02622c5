"""GGUF files for tests: real ones of the tiny checkpoint, and damaged ones."""

import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader, GGUFWriter

from components.model.export import gguf_file
from components.model.export.gguf_file import export_gguf
from tests.tiny import TINY_PATH

LAYERS_OF_7B = 32
"""llama.cpp tells Baichuan 2 7B from 13B by the number of layers."""


class AsConverted(GGUFWriter):
    """Writes what llama.cpp's converter makes of Baichuan: its own architecture, and nothing about chatting."""

    def __init__(self, path: Path, _: str) -> None:
        super().__init__(path, "baichuan")

    def add_chat_template(self, value: Any) -> None:
        """Leave it out."""

    def add_add_space_prefix(self, value: bool) -> None:
        """Leave it out; llama.cpp then puts a space before a text."""

    def add_sampling_sequence(self, sequence: str) -> None:
        """Leave it out."""


class LayerByLayer(GGUFWriter):
    """Counts the heads of each layer, as files of models do whose layers differ."""

    def add_block_count(self, length: int) -> None:
        self._layers = length
        super().add_block_count(length)

    def add_head_count(self, count: int) -> None:
        super().add_head_count([count] * self._layers)

    def add_head_count_kv(self, count: int) -> None:
        super().add_head_count_kv([count] * self._layers)


@contextmanager
def writing_with(writer: type[GGUFWriter]) -> Iterator[None]:
    """Exports within are written by it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf_file, "GGUFWriter", writer)
        yield


def converter_of_llama_cpp() -> AbstractContextManager[None]:
    """Exports within look like files that others published."""
    return writing_with(AsConverted)


def deep_tiny(folder: Path) -> Path:
    """The tiny checkpoint with its layers repeated, so that it has as many as the 7B."""
    shutil.copytree(TINY_PATH, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    few = config["num_hidden_layers"]
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": LAYERS_OF_7B}), encoding="utf-8")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    deep = {name: weight for name, weight in weights.items() if ".layers." not in name}
    for layer in range(LAYERS_OF_7B):
        prefix = f"model.layers.{layer % few}."
        deep |= {
            name.replace(prefix, f"model.layers.{layer}."): weight.clone()
            for name, weight in weights.items()
            if name.startswith(prefix)
        }
    torch.save(deep, folder / "pytorch_model.bin")
    return folder


def exported(folder: Path, source: Path = TINY_PATH, name: str = "tiny-chat.gguf") -> Path:
    """The checkpoint as a file in float32."""
    file = folder / name
    export_gguf(source, file, "f32")
    return file


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


SMALL: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Small-Chat",
    "llama.context_length": 128,
    "llama.embedding_length": 32,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": ["<unk>", "a"],
    "tokenizer.chat_template": "{{ messages[0].content }}",
}
"""What a file must say to be given to llama.cpp."""


def small_gguf(file: Path, values: dict[str, Any], weights: int = 1) -> Path:
    """A file whose header says only this: texts, numbers, and lists of either. What is None is left out."""
    writer = GGUFWriter(file, values.get("general.architecture", "llama"))
    for key, value in values.items():
        match value:
            case str() if key != "general.architecture":
                writer.add_string(key, value)
            case bool():
                writer.add_bool(key, value)
            case int() if value < 0:
                writer.add_int64(key, value)
            case int() if value < 2**32:
                writer.add_uint32(key, value)
            case int():
                writer.add_uint64(key, value)
            case float():
                writer.add_float32(key, value)
            case list():
                writer.add_array(key, value)
    for number in range(weights):
        writer.add_tensor(f"blk.{number}.attn_q.weight", torch.zeros(32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def in_parts(file: Path, folder: Path) -> list[Path]:
    """The same model in several files, of which the first holds everything but the weights."""
    folder.mkdir()
    reader = GGUFReader(file)
    (architecture,) = reader.fields["general.architecture"].contents().split()
    writer = GGUFWriter(folder / "parts.gguf", architecture, split_max_tensors=10, small_first_shard=True)
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind, of = field.types[0], field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), kind, of)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(folder.iterdir())
    assert len(parts) > 2
    return parts
