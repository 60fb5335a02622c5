"""Whatever runs a model gives what transformers gives, wherever its keys and values lie."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from components.checkpoints.errors import UnsupportedCheckpointError
from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.llama_runner import LlamaRunner
from components.engine.local.plain_runner import PlainRunner
from components.engine.local.rotary import rotations
from components.engine.local.runner import Runner
from components.model.loading import load_model
from tests.engine.local.models import WITH_ANOTHER_STATE, WITH_KEYS_AND_VALUES, small_model
from tests.tiny import TINY_PATH

PROMPTS = [list(range(10, 17)), list(range(100, 140)), [5], list(range(50, 180))]


def llama3_positions() -> LlamaForCausalLM:
    rope = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    model = small_model("Llama", rope_parameters=rope)
    assert isinstance(model, LlamaForCausalLM)
    return model


def baichuan() -> PreTrainedModel:
    return load_model(TINY_PATH, dtype=torch.float32, device="cpu")[0]


def llama(make: Callable[[], PreTrainedModel], together: bool = False) -> Callable[[], tuple[Runner, PreTrainedModel]]:
    """The same model twice, because the runner takes a model's weights over."""
    return lambda: (LlamaRunner(make(), together=together), make())


def plain(kind: str) -> Callable[[], tuple[Runner, PreTrainedModel]]:
    return lambda: (PlainRunner(model := small_model(kind)), model)


RUNNERS = {
    "Baichuan, fast": llama(baichuan),
    "Llama, fast": llama(lambda: small_model("Llama")),
    "Llama with as many kv heads, fast": llama(lambda: small_model("Llama", num_key_value_heads=4)),
    "Llama 3 positions, fast": llama(llama3_positions),
    "Baichuan, together": llama(baichuan, together=True),
    "Llama, together": llama(lambda: small_model("Llama"), together=True),
} | {f"{kind}, plain": plain(kind) for kind in WITH_KEYS_AND_VALUES}


@pytest.fixture(params=RUNNERS)
def runner_and_model(request: pytest.FixtureRequest) -> tuple[Runner, PreTrainedModel]:
    """With memory in which nothing good stands: only what was written may count."""
    runner, model = RUNNERS[request.param]()
    runner.reserve(40)
    memory = runner._attention.states if isinstance(runner, LlamaRunner) else runner._pool  # type: ignore[attr-defined]
    memory.fill_(torch.nan)
    return runner, model


@torch.inference_mode()
def reference(model: PreTrainedModel, tokens: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([tokens]), use_cache=False).logits[0].float()
    return logits


def test_logits_are_transformers_own_wherever_the_blocks_lie(
    runner_and_model: tuple[Runner, PreTrainedModel],
) -> None:
    """In one piece, in several, in any order; read in pieces, and decoded together."""
    runner, model = runner_and_model
    blocks = [[0, 1], [9, 4, 5, 20], [2], [30, 31, 32, 7, 8, 3, 21, 22, 35]]
    tables = [BlockTable([], own) for own in blocks]
    for prompt, table in zip(PROMPTS, tables, strict=True):
        middle = len(prompt) // 2
        runner.prefill(table, 0, prompt[:middle]) if middle else None
        logits = runner.prefill(table, middle, prompt[middle:], all_logits=True)
        torch.testing.assert_close(logits, reference(model, prompt)[middle:], atol=1e-4, rtol=0)
    written = [7, 8, 9]
    for done, token in enumerate(written):
        positions = [len(prompt) + done for prompt in PROMPTS]
        logits = runner.decode(tables, positions, [token] * len(PROMPTS))
        wanted = [reference(model, [*prompt, *written[: done + 1]])[-1] for prompt in PROMPTS]
        torch.testing.assert_close(logits, torch.stack(wanted), atol=1e-4, rtol=0)


def test_a_step_that_is_repeated_gives_the_same(runner_and_model: tuple[Runner, PreTrainedModel]) -> None:
    """Nothing counts what was computed but the caller: so a failed step can be tried again."""
    runner, _ = runner_and_model
    table = BlockTable([], [3, 1])
    runner.prefill(table, 0, [1, 2, 3, 4, 5, 6, 7])
    once = runner.decode([table], [7], [9])
    runner.decode([table], [7], [11])

    assert torch.equal(runner.decode([table], [7], [9]), once)


def test_a_shared_beginning_is_used_and_not_written(runner_and_model: tuple[Runner, PreTrainedModel]) -> None:
    runner, model = runner_and_model
    beginning = list(range(1, 1 + BLOCK))
    first, second = BlockTable([], [4, 5]), BlockTable([4], [9])
    runner.prefill(first, 0, [*beginning, 50, 51])
    for table, rest in ((second, [60, 61, 62]), (first, [50, 51, 52])):
        logits = runner.prefill(table, BLOCK, rest)
        torch.testing.assert_close(logits, reference(model, [*beginning, *rest])[-1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", WITH_ANOTHER_STATE)
def test_a_model_that_keeps_something_else_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedCheckpointError, match="another type"):
        PlainRunner(small_model(kind))


def test_a_model_that_misreads_our_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model("Llama")
    forward = model.forward

    def misreading(ids: torch.Tensor, **options: object) -> object:
        output = forward(ids, **options)
        if getattr(options.get("past_key_values"), "get_seq_length", int)() > ids.shape[1]:
            output.logits = output.logits.roll(1, dims=-1)
        return output

    runner = PlainRunner(model)
    monkeypatch.setattr(model, "forward", misreading)
    with pytest.raises(UnsupportedCheckpointError, match="other results"):
        runner.reserve(4)


@pytest.mark.parametrize(("rope_type", "shares"), [("default", True), ("dynamic", False)])
def test_beginnings_are_shared_only_where_positions_are_fixed(rope_type: str, shares: bool) -> None:
    rope = {"rope_type": rope_type, "rope_theta": 10_000.0, "factor": 2.0}

    assert PlainRunner(small_model("Llama", rope_parameters=rope)).shares_beginnings is shares


def exact_logits(runner: Runner, others: int) -> torch.Tensor:
    tables = [BlockTable([], range(number * 10, number * 10 + 10)) for number in range(1 + others)]
    prompts = [PROMPTS[number % len(PROMPTS)] for number in range(1 + others)]
    for table, prompt in zip(tables, prompts, strict=True):
        runner.prefill(table, 0, prompt)
    exact = [True] + [number % 2 == 0 for number in range(others)]
    return runner.decode(tables, [len(prompt) for prompt in prompts], [7] * len(tables), exact)[0]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("make", [baichuan, lambda: small_model("Llama"), llama3_positions])
def test_an_exact_sequence_gets_the_same_bits_whoever_else_is_there(
    make: Callable[[], LlamaForCausalLM], together: bool
) -> None:
    runner = LlamaRunner(make(), together=together)
    runner.reserve(160)
    alone = exact_logits(runner, others=0)

    assert all(torch.equal(alone, exact_logits(runner, others)) for others in (1, 2, 3, 7, 15))


@pytest.mark.parametrize("together", [False, True])
def test_an_exact_sequence_gets_the_same_bits_where_no_kernel_promises_it(
    monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """As on a machine whose library takes another kernel for another number of rows."""
    monkeypatch.setattr("components.model.cpu_kernels._packs", lambda *_: False)
    runner = LlamaRunner(small_model("Llama"), together=together)
    runner.reserve(160)
    alone = exact_logits(runner, others=0)

    assert all(torch.equal(alone, exact_logits(runner, others)) for others in (1, 3, 7))


def test_an_exact_sequence_gets_the_same_bits_with_the_quantized_model(demo_model: Path) -> None:
    runner = LlamaRunner(load_model(demo_model, device="cpu")[0])
    runner.reserve(160)
    alone = exact_logits(runner, others=0)

    assert all(torch.equal(alone, exact_logits(runner, others)) for others in (1, 2, 3, 7, 15))


def test_models_of_another_kind_are_left_to_the_plain_runner() -> None:
    config = LlamaConfig(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=1)
    config.num_attention_heads = config.num_key_value_heads = 2
    assert LlamaRunner.can_run(LlamaForCausalLM(config))
    config.attention_bias = True
    assert not LlamaRunner.can_run(LlamaForCausalLM(config))


@pytest.mark.parametrize("make", [baichuan, lambda: small_model("Llama"), llama3_positions])
def test_the_table_of_positions_is_the_same_to_the_bit_in_parts(
    make: Callable[[], LlamaForCausalLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    rotary, device = model.model.rotary_emb, model.device
    whole = rotations(rotary, 2000, device)
    monkeypatch.setattr("components.engine.local.rotary.POSITIONS_AT_ONCE", 300)

    assert torch.equal(rotations(rotary, 2000, device), whole)
    assert torch.equal(rotations(rotary, 700, device), whole[:700])


@pytest.mark.parametrize("make", [LlamaRunner, PlainRunner])
def test_a_context_without_end_takes_no_more_memory_than_the_blocks(make: Callable[[PreTrainedModel], Runner]) -> None:
    model = small_model("Llama", max_position_embeddings=100_000_000)
    wanted = reference(model, PROMPTS[3][:20])[-1]
    at_first = psutil.Process().memory_info().rss
    runner = make(model)
    runner.reserve(4)

    assert psutil.Process().memory_info().rss < at_first + 100_000_000
    torch.testing.assert_close(runner.prefill(BlockTable((), range(2)), 0, PROMPTS[3][:20]), wanted)
