"""The decoder on a GPU: the CPU's results, seeded replies alike in any company, memory as accounted, no waiting.

And all of it in CUDA graphs, too.
"""

import logging
from collections.abc import Iterator, Sequence

import pytest
import torch
from transformers import LlamaForCausalLM

from components.engine.local.attention import AttentionTogether
from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.llama_runner import LlamaRunner
from components.engine.local.step_graphs import MOST_GRAPHS, CudaCapture, Work
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
    for _ in range(2):  # whatever is made ready once, and the graph
        runner.decode(tables, lengths, [7] * len(PROMPTS))
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


def attention_of(runner: LlamaRunner) -> AttentionTogether:
    assert isinstance(runner._attention, AttentionTogether)
    return runner._attention


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """Each replay of a graph."""
    done: list[Work] = []
    capture = CudaCapture.capture

    def noting(self: CudaCapture, work: Work) -> Work:
        replay = capture(self, work)

        def noted() -> None:
            done.append(replay)
            replay()

        return noted

    monkeypatch.setattr(CudaCapture, "capture", noting)
    return done


@pytest.mark.parametrize("exact", [False, True])
def test_a_graph_gives_the_bits_of_the_step_that_it_holds(
    runner: LlamaRunner, replays: list[Work], exact: bool
) -> None:
    """After others of other shapes, too, and for other tokens than those that it was captured with."""
    tables, lengths = read(runner, PROMPTS), [len(prompt) for prompt in PROMPTS]

    def logits(readers: int, token: int) -> torch.Tensor:
        return runner.decode(tables[:readers], lengths[:readers], [token] * readers, [exact] * readers)

    def in_all_shapes() -> list[torch.Tensor]:
        return [logits(readers, token) for readers in (1, 4, 1, 3, 4, 2) for token in (7, 8, 9)]

    attention = attention_of(runner)
    graphs, attention.graphs = attention.graphs, None
    wanted = in_all_shapes()
    attention.graphs = graphs
    found = in_all_shapes()

    assert len(replays) >= 18 - 2 * 4, "in each of the four shapes one was run, and one captured"
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_graphs_hold_no_more_memory_than_is_kept_free_for_them(runner: LlamaRunner, replays: list[Work]) -> None:
    def in_all_shapes() -> None:
        for readers in range(1, 17):
            for length in (20, 150):
                for _ in range(2):
                    runner.decode(tables[:readers], [length] * readers, [7] * readers)

    tables = tables_of(16)
    attention = attention_of(runner)
    graphs, attention.graphs = attention.graphs, None
    in_all_shapes()  # libraries take what they take once
    attention.graphs = graphs
    torch.cuda.empty_cache()
    before = torch.cuda.mem_get_info()[0]
    in_all_shapes()
    torch.cuda.empty_cache()

    assert graphs is not None
    assert 8 < len(graphs._graphs) <= MOST_GRAPHS
    assert before - torch.cuda.mem_get_info()[0] <= runner.step_bytes


def test_where_capturing_fails_replies_are_written_without(
    runner: LlamaRunner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tables, lengths = read(runner, PROMPTS), [len(prompt) for prompt in PROMPTS]
    wanted = runner.decode(tables, lengths, [7] * len(PROMPTS))
    capture = CudaCapture.capture

    def failing(self: CudaCapture, work: Work) -> Work:
        def waiting() -> None:
            work()
            torch.ones(1, device="cuda").item()

        return capture(self, waiting)

    monkeypatch.setattr(CudaCapture, "capture", failing)
    stream = torch.cuda.current_stream()
    with caplog.at_level(logging.WARNING):
        found = [runner.decode(tables, lengths, [7] * len(PROMPTS)) for _ in range(3)]
    torch.cuda.empty_cache()  # as the engine does where memory is short

    assert all(torch.equal(one, wanted) for one in found)
    assert torch.cuda.current_stream() == stream
    assert "could not be captured" in caplog.text
