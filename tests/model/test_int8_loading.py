"""int8 weights made while a checkpoint is loaded: as they were made afterwards, in little memory, with every check."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.shaped_checkpoint import Sizes, write_checkpoint
from components.checkpoints.errors import LoadError
from components.model.cpu_kernels import CpuKernels
from components.model.loading import load_model
from components.model.quantization import Int8Linear
from tests.server import ROOT
from tests.tiny import TINY_PATH

SIZES = Sizes(hidden_size=1024, intermediate_size=2752, num_hidden_layers=24, num_attention_heads=8, vocab_size=8000)
SHARD_BYTES = 60_000_000


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """640 MB in eleven files."""
    folder: Path = tmp_path_factory.mktemp("shaped") / "checkpoint"
    write_checkpoint(folder, SIZES, SHARD_BYTES)
    return folder


def test_layers_are_those_of_the_unquantized_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.model.loading._find_kernels", lambda *_: CpuKernels("bfloat16", 2))
    wanted = load_model(TINY_PATH, torch.bfloat16, "cpu", "none")[0]
    model = load_model(TINY_PATH, torch.bfloat16, "cpu", "int8")[0]
    layers = {name: layer for name, layer in wanted.named_modules() if isinstance(layer, nn.Linear)}
    assert "lm_head" in layers
    for name, layer in layers.items():
        ours = model.get_submodule(name)
        if layer.in_features % 32:  # the kernel cannot run there
            assert torch.equal(ours.weight, layer.weight)
            continue
        assert isinstance(ours, Int8Linear)
        expected = Int8Linear.of(layer.weight.detach(), keep_full=True, kernels=ours.kernels)
        assert torch.equal(ours.weight, expected.weight)
        assert torch.equal(ours.scale, expected.scale)
        assert ours.full is not None
        assert torch.equal(ours.full, layer.weight)
    for name, weight in wanted.named_parameters():
        if name.removesuffix(".weight") not in layers:
            assert torch.equal(model.get_parameter(name), weight)
    assert not hasattr(model.config, "quantization_config")


def test_a_model_that_memory_would_not_hold_unquantized_is_loaded(shaped: Path, tmp_path: Path) -> None:
    """At the most 1.15 times its final weights, and a file, beyond what the libraries take."""
    script = """
import contextlib
import sys
from pathlib import Path
import psutil
from components.model import loading
from components.model.loading import load_model
from tests.tiny import TINY_PATH

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

loading.available_memory = lambda: 0
load_model(TINY_PATH, "bfloat16", "cpu", "int8", Path(sys.argv[2]))  # what the libraries take once
before = psutil.Process().memory_info().rss
with contextlib.suppress(OSError):  # not every container allows it; what was before is small
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
model, _ = load_model(Path(sys.argv[1]), "bfloat16", "cpu", "int8", Path(sys.argv[2]))
print(peak() - before, sum(one.nbytes for one in [*model.parameters(), *model.buffers()]))
"""
    command = [sys.executable, "-c", script, str(shaped), str(tmp_path)]
    # Matrices of a model that is large are given back when they are freed; so are these, then.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak, final = map(int, done.stdout.split())
    assert final < 0.6 * sum(file.stat().st_size for file in shaped.glob("*.safetensors"))
    assert peak <= 1.15 * final + SHARD_BYTES


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"intermediate_size": 2752 + 32}, "should be"),
        ({"num_hidden_layers": 25}, "have 24 layers"),
        ({"num_hidden_layers": 23}, "have 24 layers"),
    ],
    ids=str,
)
def test_what_does_not_fit_config_json_is_named(
    shaped: Path, tmp_path: Path, change: dict[str, int], words: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for file in shaped.iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((shaped / "config.json").read_text(encoding="utf-8")) | change
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(LoadError, match=words):
        load_model(folder, "bfloat16", "cpu", "int8", tmp_path)
