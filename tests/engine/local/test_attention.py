"""A step that attends for all sequences at once: how many kernels it launches, and in which shapes."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional
from transformers import LlamaForCausalLM

from components.engine.local.attention import gathered_length, row_count
from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.llama_runner import LlamaRunner
from tests.engine.local.models import small_model
from tests.kernels import Kernels


def runner_of(layers: int, kv_heads: int, dtype: torch.dtype = torch.float32, max_batch: int = 32) -> LlamaRunner:
    model = small_model("Llama", num_hidden_layers=layers, num_key_value_heads=kv_heads).to(dtype)
    assert isinstance(model, LlamaForCausalLM)
    runner = LlamaRunner(model, max_batch=max_batch, together=True)
    runner.reserve(33 * 4)
    return runner


def step(runner: LlamaRunner, lengths: Sequence[int], exact: bool) -> Kernels:
    tables = [BlockTable([], range(number * 4, number * 4 + 4)) for number in range(len(lengths))]
    for table, length in zip(tables, lengths, strict=True):
        runner.prefill(table, 0, list(range(1, 1 + length)))
    kernels = Kernels()
    with kernels:
        runner.decode(tables, lengths, [7] * len(lengths), [exact] * len(lengths))
    return kernels


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_a_step_launches_as_many_kernels_for_many_readers_as_for_one(
    monkeypatch: pytest.MonkeyPatch, kv_heads: int, exact: bool
) -> None:
    # As on a GPU, where weights are not packed and the number of rows decides which kernel multiplies.
    monkeypatch.setattr("components.model.cpu_kernels._packs", lambda *_: False)
    runner = runner_of(32, kv_heads, torch.bfloat16)
    runner._exact_rows = 32
    counts = {readers: step(runner, [40] * readers, exact).counted.total() for readers in (1, 2, 16, 32)}

    assert counts[1] <= 600
    assert counts[32] <= 700
    assert max(counts.values()) - min(counts.values()) <= 40, counts


@pytest.mark.parametrize("max_batch", [1, 4, 9, 17])
def test_an_exact_row_has_the_same_bits_where_their_number_decides_which_kernel_multiplies(
    monkeypatch: pytest.MonkeyPatch, max_batch: int
) -> None:
    """Alone, among as many as there may be, and among known tokens that are decoded at once."""

    def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, weight) * (1 + len(x) * 1e-3)

    monkeypatch.setattr("components.model.cpu_kernels._packs", lambda *_: False)
    monkeypatch.setattr("components.model.cpu_kernels.functional", SimpleNamespace(linear=linear))
    runner = runner_of(2, 2, max_batch=max_batch)
    tables = [BlockTable([], range(number * 4, number * 4 + 4)) for number in range(max_batch)]
    for table in tables:
        runner.prefill(table, 0, list(range(1, 21)))

    def decode(some: Sequence[BlockTable]) -> torch.Tensor:
        return runner.decode(some, [20] * len(some), [7] * len(some), [True] * len(some))[0]

    alone = decode(tables[:1])
    assert torch.equal(decode(tables), alone)
    assert torch.equal(runner.decode_known(tables[0], 20, [7] * 20, exact=True)[0], alone)


def test_steps_of_about_the_same_size_have_the_same_shapes() -> None:
    """So a graph that was captured for one of them holds the others."""
    runner = runner_of(1, 2)

    assert step(runner, [20] * 9, False).shapes == step(runner, [25] * 10, False).shapes


def test_a_step_writes_the_new_tokens_and_nothing_else() -> None:
    """Neither do the rows of no sequence, which bring a step to one of few sizes."""
    runner, readers = runner_of(1, 2), 9
    assert row_count(readers) > readers
    states = runner._attention.states.zero_()
    tables = [BlockTable([], range(number * 4, number * 4 + 4)) for number in range(readers)]
    for table in tables:
        runner.prefill(table, 0, list(range(1, 21)))
    before = states.clone()
    runner.decode(tables, [20] * readers, [7] * readers, [False] * readers)

    changed = (states != before).any(-1).sum((0, 1, 2)).nonzero().flatten().tolist()
    own_slots = 33 * 4 * BLOCK  # behind them is what belongs to nobody
    assert [slot for slot in changed if slot < own_slots] == [number * 4 * BLOCK + 20 for number in range(readers)]


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 9, 16, 17, 31, 32, 33, 255, 257, 1000, 2049, 4096])
def test_shapes_are_few_and_hardly_larger_than_needed(number: int) -> None:
    assert number <= row_count(number) <= 1.25 * number
    assert number <= gathered_length(number) <= max(256, 1.25 * number)
    assert gathered_length(number) % BLOCK == 0
    assert len({gathered_length(length) for length in range(1, 4097)}) <= 17
