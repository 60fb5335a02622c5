"""The decoder on a GPU: the CPU's results, seeded replies alike in any company, memory as accounted, no waiting."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from transformers import LlamaForCausalLM

from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.llama_runner import LlamaRunner
from tests.engine.local.models import small_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that CUDA sees")

PROMPTS = [list(range(10, 17)), list(range(100, 140)), [5], list(range(50, 180))]


def model_of(kv_heads: int) -> LlamaForCausalLM:
    model = small_model("Llama", num_key_value_heads=kv_heads)
    assert isinstance(model, LlamaForCausalLM)
    return model


def tables_of(count: int) -> list[BlockTable]:
    return [BlockTable([], range(number * 10, number * 10 + 10)) for number in range(count)]


def read(runner: LlamaRunner, prompts: Sequence[list[int]]) -> list[BlockTable]:
    tables = tables_of(len(prompts))
    for table, prompt in zip(tables, prompts, strict=True):
        runner.prefill(table, 0, prompt)
    return tables


@pytest.fixture(params=[2, 4])
def runner(request: pytest.FixtureRequest) -> Iterator[LlamaRunner]:
    runner = LlamaRunner(model_of(request.param).cuda())
    runner.reserve(160)
    yield runner
    torch.cuda.empty_cache()


@pytest.mark.parametrize("kv_heads", [2, 4])
def test_logits_are_the_cpus(kv_heads: int) -> None:
    there, here = LlamaRunner(model_of(kv_heads).cuda()), LlamaRunner(model_of(kv_heads))
    for one in (there, here):
        one.reserve(160)
    lengths = [len(prompt) for prompt in PROMPTS]
    found, wanted = (one.decode(read(one, PROMPTS), lengths, [7] * len(PROMPTS)) for one in (there, here))

    torch.testing.assert_close(found.cpu(), wanted, atol=1e-3, rtol=0)


def test_an_exact_sequence_gets_the_same_bits_whoever_else_is_there(runner: LlamaRunner) -> None:
    def logits(others: int) -> torch.Tensor:
        prompts = [PROMPTS[number % len(PROMPTS)] for number in range(1 + others)]
        lengths = [len(prompt) for prompt in prompts]
        return runner.decode(read(runner, prompts), lengths, [7] * len(prompts), [True] * len(prompts))[0]

    alone = logits(others=0)
    assert all(torch.equal(alone, logits(others)) for others in (1, 2, 3, 7, 15))


def test_a_step_does_not_wait_for_the_device(runner: LlamaRunner) -> None:
    tables, lengths = read(runner, PROMPTS), [len(prompt) for prompt in PROMPTS]
    runner.decode(tables, lengths, [7] * len(PROMPTS))  # whatever is made ready once
    torch.cuda.set_sync_debug_mode("error")
    try:
        runner.decode(tables, lengths, [7] * len(PROMPTS))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_reserved_memory_is_what_is_held() -> None:
    runner = LlamaRunner(model_of(2).cuda())
    before = torch.cuda.memory_allocated()
    runner.reserve(160)

    assert torch.cuda.memory_allocated() - before == pytest.approx(161 * BLOCK * runner.bytes_per_token, abs=2**16)
