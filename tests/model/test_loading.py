"""Every form in which a checkpoint comes, and what is refused."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from components.checkpoints.errors import UnsupportedCheckpointError
from components.model.loading import LoadError, load_model
from tests.model.conftest import Tiny
from tests.tiny import CHATS, TINY_PATH


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to take apart."""
    return Path(shutil.copytree(TINY_PATH, tmp_path / "checkpoint"))


@pytest.fixture
def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The checkpoint's weights, taken out of it."""
    file = folder / "pytorch_model.bin"
    tensors: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    file.unlink()
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def assert_same_logits(folder: Path, tiny: Tiny) -> None:
    model, _ = load_model(folder, dtype=torch.float32, device="cpu")
    input_ids = torch.tensor([CHATS[1]["input_ids"]])
    torch.testing.assert_close(model(input_ids).logits, tiny[0](input_ids).logits)


def test_safetensors_load(folder: Path, weights: dict[str, torch.Tensor], tiny: Tiny) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    assert_same_logits(folder, tiny)


@pytest.mark.parametrize(
    ("index", "shard"),
    [
        ("pytorch_model.bin.index.json", "pytorch_model-0000{}-of-00003.bin"),
        ("model.safetensors.index.json", "model-0000{}-of-00003.safetensors"),
    ],
)
def test_shards_load(folder: Path, weights: dict[str, torch.Tensor], tiny: Tiny, index: str, shard: str) -> None:
    names = sorted(weights)
    weight_map: dict[str, str] = {}
    for number in range(3):
        part = {name: weights[name] for name in names[number::3]}
        file = folder / shard.format(number + 1)
        save_file(part, file, {"format": "pt"}) if file.suffix == ".safetensors" else torch.save(part, file)
        weight_map |= dict.fromkeys(part, file.name)
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))

    assert_same_logits(folder, tiny)


def test_a_saved_model_loads_to_the_same_logits(tmp_path: Path, tiny: Tiny) -> None:
    tiny[0].save_pretrained(tmp_path)
    tiny[1].save_pretrained(tmp_path)

    assert_same_logits(tmp_path, tiny)


def test_code_in_the_folder_is_never_executed(folder: Path, tiny: Tiny) -> None:
    trap = f"import pathlib; pathlib.Path({str(folder / 'ran')!r}).touch()\n"
    for name in ("configuration_baichuan", "modeling_baichuan", "tokenization_baichuan"):
        (folder / f"{name}.py").write_text(trap)

    assert_same_logits(folder, tiny)
    assert not (folder / "ran").exists()


class Trap:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / "ran"),)


def test_code_in_pickled_weights_is_never_executed(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save(weights | {"trap": Trap(folder)}, folder / "pytorch_model.bin", pickle_module=pickle)

    with pytest.raises(LoadError, match=str(folder)):
        load_model(folder)
    assert not (folder / "ran").exists()


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_position_embeddings": None}, "13B"),
        ({"vocab_size": 64000}, "first Baichuan"),
        ({"model_type": "unheard_of"}, "unheard_of"),
        ({"model_type": "vit"}, "vit"),
    ],
)
def test_models_that_cannot_run_are_refused_by_name(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit_config(folder, **changes)

    with pytest.raises(UnsupportedCheckpointError, match=message):
        load_model(folder)


@pytest.mark.parametrize("missing", ["config.json", "pytorch_model.bin", "tokenizer.model"])
def test_a_missing_file_is_reported_with_the_folder_and_the_cure(folder: Path, missing: str) -> None:
    (folder / missing).unlink()

    with pytest.raises(LoadError, match=str(folder)):
        load_model(folder)


def test_weights_that_lack_a_tensor_are_refused_not_made_up(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    del weights["model.layers.1.mlp.up_proj.weight"]
    torch.save(weights, folder / "pytorch_model.bin")

    with pytest.raises(LoadError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load_model(folder)


def test_a_broken_tokenizer_is_reported(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes(b"version https://git-lfs.github.com/spec/v1")

    with pytest.raises(LoadError, match=r"tokenizer\.model"):
        load_model(folder)


def test_truncated_weights_are_reported(folder: Path) -> None:
    file = folder / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:100_000])

    with pytest.raises(LoadError, match=r"python download\.py"):
        load_model(folder)


def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="BAICHUAN_DEVICE=cpu"):
        load_model(folder, device="quantum")


def test_dtype_is_the_callers(folder: Path) -> None:
    model, _ = load_model(folder, dtype="bfloat16", device="cpu", quantize="none")

    assert model.dtype == torch.bfloat16
    norms = model.lm_head.weight.float().norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms), atol=1e-2, rtol=0)
