"""A checkpoint of Baichuan 2 7B's shape, or a smaller one, with random weights: ``python -m bench.shaped_checkpoint``.

For what depends on how many weights there are, not on what they are: memory, and bytes read a token. The tokenizer is
the tiny test checkpoint's, whose ids are the first of the vocabulary. The same can be had as a model, without a file.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from components.model.configuration import BaichuanConfig
from components.model.modeling import BaichuanForCausalLM
from components.model.opening import register_architecture
from components.model.shards import SHARD_BYTES, write_shards
from components.model.tokenizer import load_tokenizer

TINY = Path(__file__).parent.parent / "tests" / "fixtures" / "baichuan2-7b-tiny"


@dataclass(frozen=True)
class Sizes:
    """Of Baichuan 2 7B, as its config.json has them."""

    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    vocab_size: int = 125_696

    @property
    def described(self) -> str:
        """For people to read."""
        shape = f"{self.num_hidden_layers} layers {self.hidden_size:,} wide, {self.vocab_size:,} tokens"
        return f"random weights{' in the shape of Baichuan 2 7B' if self == Sizes() else ''} ({shape})"

    @property
    def weights_of_a_step(self) -> int:
        """How many weights a decode step reads: all layers and the head, but of the embedding only single rows."""
        layer = 4 * self.hidden_size**2 + 3 * self.hidden_size * self.intermediate_size
        return self.num_hidden_layers * layer + self.hidden_size * self.vocab_size


def write_checkpoint(folder: Path, sizes: Sizes, shard_bytes: int = SHARD_BYTES) -> None:
    """Write one shard after the other, in bfloat16.

    Args:
        folder: is made.
        sizes: the model's.
        shard_bytes: how large a file may be.

    Raises:
        FileExistsError: there is such a folder already.
        CheckpointError: a shard could not be written.
    """
    folder.mkdir(parents=True)
    for file in TINY.iterdir():
        if file.suffix in (".json", ".model") and file.name != "model.safetensors.index.json":
            shutil.copy(file, folder)
    (folder / "config.json").write_text(json.dumps(_config(sizes), indent=2), encoding="utf-8")
    write_shards(_weights(sizes), folder, shard_bytes)


def build_shaped(
    sizes: Sizes, dtype: torch.dtype, device: torch.device | str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Such a model, made where it runs, and its tokenizer. No token ends a reply: all are as long as asked for."""
    register_architecture()
    config = BaichuanConfig.from_dict(_config(sizes))
    torch.manual_seed(0)
    with torch.device(device):
        model = BaichuanForCausalLM._from_config(config, dtype=dtype).eval()
    model.generation_config = GenerationConfig.from_pretrained(TINY)
    model.generation_config.eos_token_id = None
    return model, load_tokenizer(TINY, config)


def _config(sizes: Sizes) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    return config | {**vars(sizes), "model_max_length": 4096, "torch_dtype": "bfloat16"}


def _weights(sizes: Sizes) -> Iterator[tuple[str, torch.Tensor]]:
    hidden, between = sizes.hidden_size, sizes.intermediate_size
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)

    yield "model.embed_tokens.weight", random(sizes.vocab_size, hidden)
    for number in range(sizes.num_hidden_layers):
        layer = f"model.layers.{number}."
        yield layer + "self_attn.W_pack.weight", random(3 * hidden, hidden)
        yield layer + "self_attn.o_proj.weight", random(hidden, hidden)
        yield layer + "mlp.gate_proj.weight", random(between, hidden)
        yield layer + "mlp.up_proj.weight", random(between, hidden)
        yield layer + "mlp.down_proj.weight", random(hidden, between)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{norm}.weight", torch.ones(hidden, dtype=torch.bfloat16)
    yield "model.norm.weight", torch.ones(hidden, dtype=torch.bfloat16)
    yield "lm_head.weight", random(sizes.vocab_size, hidden)


def main() -> None:
    """Write the checkpoint that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.shaped_checkpoint", description=__doc__)
    parser.add_argument("folder", type=Path, help="is made; 15 GB for the full size")
    for name, usual in vars(Sizes()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=usual)
    arguments = vars(parser.parse_args())
    write_checkpoint(arguments.pop("folder"), Sizes(**arguments))


if __name__ == "__main__":
    main()
