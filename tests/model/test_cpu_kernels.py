"""Which kernels are fast here: found once by trying, kept, and never what a start fails at."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch.nn import functional

from bench.lesser_cpu import AVX2_ONLY
from components.model import cpu_kernels
from components.model.cpu_kernels import CpuKernels, Linear, Wide, find_cpu_kernels, packed
from components.model.loading import load_model
from components.model.quantization import Int8Linear, Quantize
from tests.server import ROOT
from tests.tiny import TINY_PATH


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The trials that were made; each finds something else."""
    made: list[tuple[int, int]] = []

    def find(width: int, height: int) -> CpuKernels:
        made.append((width, height))
        return CpuKernels("float32", len(made))

    monkeypatch.setattr(cpu_kernels, "_try", find)
    return made


def test_what_was_found_is_kept_for_layers_of_this_size(tmp_path: Path, tries: list[tuple[int, int]]) -> None:
    first = find_cpu_kernels(64, 128, tmp_path / "new")
    assert find_cpu_kernels(64, 128, tmp_path / "new") == first
    assert tries == [(64, 128)]
    assert find_cpu_kernels(64, 256, tmp_path / "new") != first
    assert find_cpu_kernels(64, 128, tmp_path / "new") == first, "one does not displace the other"


def test_other_threads_are_another_machine(tmp_path: Path, tries: list[tuple[int, int]]) -> None:
    find_cpu_kernels(64, 128, tmp_path)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        find_cpu_kernels(64, 128, tmp_path)
    finally:
        torch.set_num_threads(before)
    assert len(tries) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"a": 1}', b'{"a": {"wide": "int8", "int8_rows": 2}}', b'{"a": {"wide": "float32"}}'],
)
def test_a_file_that_is_not_ours_is_written_anew(tmp_path: Path, tries: list[tuple[int, int]], content: bytes) -> None:
    (tmp_path / "kernels.json").write_bytes(content)
    found = find_cpu_kernels(64, 128, tmp_path)
    assert find_cpu_kernels(64, 128, tmp_path) == found
    assert len(tries) == 1


def test_what_cannot_be_kept_is_used_all_the_same(tmp_path: Path, tries: list[tuple[int, int]]) -> None:
    (tmp_path / "file").touch()
    assert find_cpu_kernels(64, 128, tmp_path / "file") == CpuKernels("float32", 1)
    assert tries


def test_a_real_trial_finds_something_that_can_be_used() -> None:
    found = find_cpu_kernels(576, 1536)
    assert found.wide in get_args(Wide)
    assert found.int8_rows in (0, *cpu_kernels.TRIED_ROWS)


@pytest.mark.parametrize(
    ("wide", "int8_rows", "any_rows"),
    [("bfloat16", rows, "wide") for rows in (0, *cpu_kernels.TRIED_ROWS)]
    + [("float16", rows, "int8") for rows in (0, *cpu_kernels.TRIED_ROWS)]
    + [("float32", rows, "int8") for rows in cpu_kernels.TRIED_ROWS]
    + [("float32", 0, "wide")],
)
def test_what_a_seed_is_computed_with_does_not_hang_on_two_kernels_that_are_about_as_fast(
    wide: Wide, int8_rows: int, any_rows: str
) -> None:
    """Trials on one machine differ by a few rows."""
    assert CpuKernels(wide, int8_rows).any_rows == any_rows


@pytest.mark.parametrize("slowest", ["float32", "float16"])
def test_only_types_whose_speed_differs_much_are_tried(monkeypatch: pytest.MonkeyPatch, slowest: str) -> None:
    """FBGEMM's float16 and float32 are about as fast with AVX-512: which is taken must not be chance."""
    tried = []
    real = cpu_kernels.packed

    def pack(weight: torch.Tensor) -> Linear:
        tried.append(weight.dtype)
        return real(weight)

    monkeypatch.setattr(cpu_kernels, "packed", pack)
    monkeypatch.setattr(cpu_kernels, "_multiplies_float16", lambda: slowest == "float32")
    find_cpu_kernels(64, 128)
    assert getattr(torch, slowest) not in tried


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("rows", [1, 3, 4, 17])
def test_weights_in_another_type_multiply_what_comes_in(dtype: torch.dtype, rows: int) -> None:
    weight, x = torch.randn(48, 64), torch.randn(rows, 64).bfloat16()
    product = packed(weight.to(dtype))(x)
    assert product.dtype == torch.bfloat16
    torch.testing.assert_close(product.float(), functional.linear(x.float(), weight), atol=0.2, rtol=0.05)


def test_float16_weights_lose_nothing_of_bfloat16_s_and_sum_as_float32() -> None:
    """Products too large for float16 stay what they are."""
    weight, x = (torch.randn(48, 64) * 0.05).bfloat16(), torch.randn(5, 64) * 1e7
    product = packed(weight.half())(x)
    torch.testing.assert_close(product, functional.linear(x, weight.float()), rtol=1e-4, atol=1e-4 * 1e7)


@pytest.mark.parametrize("quantize", ["auto", "none"])
def test_activations_are_never_float16(monkeypatch: pytest.MonkeyPatch, quantize: Quantize) -> None:
    monkeypatch.setattr("components.model.loading._find_kernels", lambda *_: CpuKernels("float16", 0))
    model, _ = load_model(TINY_PATH, device="cpu", quantize=quantize)
    assert model.dtype == {"auto": torch.bfloat16, "none": torch.float32}[quantize]
    assert any(isinstance(layer, Int8Linear) for layer in model.modules()) == (quantize == "auto")


def test_a_cpu_without_bfloat16_writes_with_int8_weights_what_float32_writes(tmp_path: Path) -> None:
    """As a process of its own: the libraries look at the CPU once."""
    script = """
import sys
from pathlib import Path
from components.engine.interface import GenerationRequest
from components.engine.local.loading import build_engine
from components.model.loading import load_model
from components.sampling.parameters import SamplingParams
from components.settings import Settings

folder, data = Path(sys.argv[1]), Path(sys.argv[2])
for dtype, quantize in (("float32", "none"), ("bfloat16", "int8")):
    model, tokenizer = load_model(folder, dtype, "cpu", quantize, data)
    engine = build_engine(model, tokenizer, Settings(data_dir=data), "tiny")
    sampling = SamplingParams(temperature=0.0, repetition_penalty=1.0, max_new_tokens=4, ignore_eos=True)
    for length in (5, 60):
        events = list(engine.generate(GenerationRequest([], sampling, prompt=list(range(300, 300 + length)))))
        print(*events[-1].receipt.tokens)
    engine.close()
"""
    command = [sys.executable, "-c", script, str(TINY_PATH), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | AVX2_ONLY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted_short, wanted_long, short, long = done.stdout.splitlines()
    assert short.split()[0] == wanted_short.split()[0]
    assert long.split()[0] == wanted_long.split()[0]
    assert (tmp_path / "kernels.json").exists()
