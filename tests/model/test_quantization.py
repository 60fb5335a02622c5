"""int8 weights stay close to the weights they stand for."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from components.engine.local.block_pool import BlockTable, blocks_for
from components.engine.local.plain_runner import PlainRunner
from components.model.cpu_kernels import CpuKernels
from components.model.loading import load_model
from components.model.quantization import Int8Linear, quantize_model, wants_int8

TEXT = """The Danube rises in the Black Forest of Germany and flows east for 2,850 kilometres, through ten countries and
4 capitals, before it empties into the Black Sea. For centuries it was a frontier of the Roman Empire. Today its waters
turn turbines, carry grain and gravel, and fill the glasses of twenty million people. In spring, when the snow of the
Alps melts, the river can rise by several metres within a day; towns along its banks keep walls of aluminium ready that
can be put up in an hour. Fishermen say that the sturgeon, which once came as far as Vienna, is seen no more above the
Iron Gates, where two dams close the gorge. Water is also what made the plain fertile: def irrigate(field): return
field.moisture + 0.3. The price of a hectare has doubled since 2010, and younger farmers rent what they cannot buy."""


AVX2 = CpuKernels("float32", 8)
AVX_512 = CpuKernels("bfloat16", 2)
FBGEMM = CpuKernels("float16", 2)


@pytest.mark.parametrize("kernels", [AVX2, AVX_512, FBGEMM], ids=["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("rows", [1, 2, 5, 100])
@pytest.mark.parametrize("keep_full", [True, False])
@pytest.mark.parametrize("height", [320, 1100])
def test_a_layer_multiplies_as_its_weights_do(rows: int, keep_full: bool, kernels: CpuKernels, height: int) -> None:
    torch.manual_seed(0)
    full = (torch.randn(height, 128) * 0.05).bfloat16()
    full[3] = 0
    layer = Int8Linear.of(full, keep_full, kernels)
    x = torch.randn(rows, 128).bfloat16()

    error = (layer(x).float() - functional.linear(x.float(), full.float())).norm()
    assert error < 0.015 * functional.linear(x.float(), full.float()).norm()


@pytest.mark.parametrize("width", [8, 100, 136, 172, 176, 200])
def test_a_layer_whose_rows_the_kernel_would_overrun_stays_as_it_is(width: int) -> None:
    model = nn.Sequential(nn.Linear(64, width, bias=False), nn.Linear(width, 64, bias=False)).bfloat16()
    quantize_model(model, keep_full=False, kernels=AVX_512)

    assert isinstance(model[0], Int8Linear)
    assert isinstance(model[1], nn.Linear)


@pytest.mark.parametrize("kernels", [AVX2, FBGEMM], ids=["float32", "float16"])
def test_what_stays_unquantized_is_in_the_type_that_is_fast(kernels: CpuKernels) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 40, bias=True), nn.Linear(40, 64, bias=False)).bfloat16()
    x = torch.randn(3, 64).bfloat16()
    wanted = model(x)
    quantize_model(model, keep_full=False, kernels=kernels)

    assert [layer.weight.dtype for layer in model] == [torch.float32, torch.float32]
    assert model(x).dtype == torch.bfloat16
    torch.testing.assert_close(model(x), wanted, atol=0.02, rtol=0.02)


def test_the_demo_model_predicts_nearly_as_in_float32(demo_model: Path) -> None:
    """Measured: 96.5 % the same likeliest token, KL 0.006 (unquantized bfloat16: 97.0 % and 0.001)."""
    reference, tokenizer = load_model(demo_model, dtype=torch.float32, device="cpu")
    quantized, _ = load_model(demo_model, dtype=torch.bfloat16, device="cpu", quantize="int8")
    for module in quantized.modules():
        if isinstance(module, Int8Linear):
            module.full = None  # so that int8 computes every row
    tokens = tokenizer(TEXT)["input_ids"]

    def log_probabilities(runner: PlainRunner) -> torch.Tensor:
        runner.reserve(blocks_for(len(tokens)))
        table = BlockTable([], range(blocks_for(len(tokens))))
        pieces = [runner.prefill(table, at, tokens[at : at + 30], all_logits=True) for at in range(0, len(tokens), 30)]
        return torch.cat(pieces).log_softmax(dim=-1)

    wanted, got = log_probabilities(PlainRunner(reference)), log_probabilities(PlainRunner(quantized))
    agreement = (wanted.argmax(dim=-1) == got.argmax(dim=-1)).float().mean().item()
    divergence = functional.kl_div(got, wanted, log_target=True, reduction="batchmean").item()
    print(f"top-1 agreement {agreement:.3f}, KL {divergence:.5f}, {len(tokens)} tokens")
    assert agreement > 0.95
    assert divergence < 0.01


def test_int8_where_it_does_not_run_is_refused() -> None:
    with pytest.raises(ValueError, match="BAICHUAN_QUANTIZE=auto"):
        wants_int8("int8", torch.device("cpu"), torch.float32)
    assert not wants_int8("auto", torch.device("cuda"), torch.bfloat16)
    assert not wants_int8("none", torch.device("cpu"), torch.bfloat16)
