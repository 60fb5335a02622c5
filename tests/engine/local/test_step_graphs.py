"""Steps that are captured: the same logits, nothing in them that a capture forbids, few of them, memory as told.

There need not be a GPU: what is captured here is run again by Python, over the same buffers.
"""

import logging
import weakref
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaForCausalLM

from components.engine.local import llama_runner, step_graphs
from components.engine.local.block_pool import BlockTable
from components.engine.local.llama_runner import LlamaRunner
from components.engine.local.loading import affordable_blocks
from components.engine.local.runner import Runner
from components.engine.local.step_graphs import Capture, StepGraphs, Work
from tests.engine.local.models import small_model


class Operators(TorchDispatchMode):
    """Sees each operator: which of them a capture forbids, and how many bytes are there at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.forbidden: set[str] = set()
        self.now = self.most = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = [one for one in tree_leaves((args, kwargs)) if _lies_in_memory(one)]
        tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
        by_numbers = func is torch.ops.aten.index.Tensor and all(one.dtype != torch.bool for one in given[1:])
        if (tags and not by_numbers) or func is torch.ops.aten.lift_fresh.default:  # made of Python's numbers
            self.forbidden.add(str(func))
        for one in given:
            self._seen.add(one.untyped_storage()._cdata)
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if _lies_in_memory(one):
                self._count(one.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._seen:
            return
        self._seen.add(storage._cdata)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, storage: int, size: int) -> None:
        self._seen.discard(storage)
        self.now -= size


def _lies_in_memory(value: object) -> bool:
    """Unlike what oneDNN keeps in its own layout."""
    return isinstance(value, torch.Tensor) and value.layout is torch.strided


class Repeating(Capture):
    """Does the work again by doing it again."""

    def __init__(self) -> None:
        self.warmed_up = self.captured = self.replayed = 0
        self.operators = Operators()

    def warm_up(self, work: Work) -> None:
        self.warmed_up += 1
        work()

    def capture(self, work: Work) -> Work:
        self.captured += 1
        with self.operators:
            work()  # which changes nothing: it was done just now

        def replay() -> None:
            self.replayed += 1
            work()

        return replay


class Failing(Repeating):
    def capture(self, work: Work) -> Work:
        super().capture(work)
        raise RuntimeError("operation not permitted when stream is capturing")


def runner_of(capture: Capture | None, **options: Any) -> LlamaRunner:
    model = small_model("Llama", **options)
    assert isinstance(model, LlamaForCausalLM)
    runner = LlamaRunner(model, together=True, capture=capture)
    runner.reserve(170)
    runner._attention.states.fill_(torch.nan)
    return runner


def tables_of(count: int) -> list[BlockTable]:
    return [BlockTable([], range(number * 10, number * 10 + 10)) for number in range(count)]


def written(runner: LlamaRunner, readers: Sequence[int], exact: bool = False) -> list[list[int]]:
    """The likeliest tokens of so many readers in each step; each step's logits go on to the next."""
    tables = tables_of(max(readers))
    tokens = [list(range(1 + number, 8 + 3 * number)) for number in range(len(tables))]
    for table, own in zip(tables, tokens, strict=True):
        runner.prefill(table, 0, own[:-1])
    for count in readers:
        positions, last = [len(own) - 1 for own in tokens[:count]], [own[-1] for own in tokens[:count]]
        logits = runner.decode(tables[:count], positions, last, [exact] * count)
        for own, token in zip(tokens, logits.argmax(-1).tolist(), strict=False):
            own.append(token)
    return tokens


READERS = [1, 1, 1, 4, 4, 4, 1, 9, 10, 9, 4, 1, 1]
"""They come and go; nine and ten have the same shape."""


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_captured_steps_write_what_others_write(kv_heads: int, exact: bool) -> None:
    capture = Repeating()
    wanted = written(runner_of(None, num_key_value_heads=kv_heads), READERS, exact)

    assert written(runner_of(capture, num_key_value_heads=kv_heads), READERS, exact) == wanted
    assert capture.captured == 3, "one for each shape"
    assert capture.replayed == 7


def test_logits_are_the_callers() -> None:
    """So a step may be taken again, and several steps' logits compared."""
    runner, (table,) = runner_of(Repeating()), tables_of(1)
    runner.prefill(table, 0, [1, 2, 3])
    first, *others = [runner.decode([table], [3], [token]) for token in (7, 7, 7, 9, 7)]
    first_bits = first.clone()
    with torch.inference_mode():
        others[1].fill_(0)
    again = runner.decode([table], [3], [7])

    assert torch.equal(first, first_bits)
    assert torch.equal(again, first)
    assert not torch.equal(others[2], first)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_nothing_in_a_captured_step_is_forbidden_in_a_capture(
    monkeypatch: pytest.MonkeyPatch, kv_heads: int, exact: bool
) -> None:
    """Nothing waits for the device, or has a shape that depends on numbers there."""
    monkeypatch.setattr("components.model.cpu_kernels._packs", lambda *_: False)  # as on a GPU
    capture = Repeating()
    written(runner_of(capture, num_key_value_heads=kv_heads), READERS, exact)

    assert capture.captured
    assert capture.operators.forbidden == set()


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda told: told[told > 0],
        lambda told: told * told.sum().item(),
        lambda told: told + torch.tensor([1, 2]),
        lambda told: told.nonzero(),
    ],
)
def test_what_is_forbidden_would_be_seen(forbidden: Any) -> None:
    with (operators := Operators()):
        forbidden(torch.ones(2, 2, dtype=torch.int64))

    assert operators.forbidden


def test_where_capturing_fails_replies_are_written_without(caplog: pytest.LogCaptureFixture) -> None:
    capture = Failing()
    with caplog.at_level(logging.WARNING):
        assert written(runner_of(capture), READERS) == written(runner_of(None), READERS)

    assert capture.captured == 1, "no other is tried"
    assert [record.message for record in caplog.records] == [
        "A decode step could not be captured as a CUDA graph: steps are slower."
    ]


def test_steps_of_the_same_shape_but_another_way_are_captured_apart() -> None:
    graphs = StepGraphs(Repeating(), 10, 2, 3, torch.device("cpu"))
    told = torch.ones(2, 3, dtype=torch.int64)
    for _ in range(3):
        for way in (1.0, 2.0):
            found = [graphs.run(way, told, lambda there, way=way: there * way) for _ in range(3)]  # type: ignore[misc]
            assert all(torch.equal(logits, told * way) for logits in found)


def test_graphs_that_were_not_used_for_the_longest_time_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_graphs, "MOST_GRAPHS", 2)
    capture = Repeating()
    graphs = StepGraphs(capture, 100, 8, 5, torch.device("cpu"))

    def run(rows: int) -> None:
        for _ in range(2):
            logits = graphs.run("way", torch.full((rows, 3), rows), lambda told: told[:, :1].float().expand(-1, 5))
            assert torch.equal(logits, torch.full((rows, 5), float(rows)))

    for rows in (1, 2, 1, 3, 1):
        run(rows)
    assert capture.captured == 3
    run(2)
    assert capture.captured == 4


def test_steps_that_are_too_large_are_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_runner, "CAPTURED_TOKENS", 2048)
    capture = Repeating()

    assert written(runner_of(capture), [9] * 4) == written(runner_of(None), [9] * 4)
    assert capture.captured == 0
    written(runner_of(capture), [8] * 4)
    assert capture.captured == 1


def test_a_captured_step_holds_no_more_than_is_kept_free_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the account the part that the pool is for, over a step of about the largest size."""
    monkeypatch.setattr("components.model.cpu_kernels._packs", lambda *_: False)
    kept: list[int] = []
    most_bytes = StepGraphs.most_bytes

    def noted(numbers: int, rows: int, vocabulary: int, between: int, kernels: int) -> int:
        kept.append(between)
        return most_bytes(numbers, rows, vocabulary, between, kernels)

    monkeypatch.setattr(StepGraphs, "most_bytes", noted)
    monkeypatch.setattr(llama_runner, "CAPTURED_TOKENS", 16 * 256)
    capture = Repeating()
    runner = runner_of(capture, num_key_value_heads=4, vocab_size=20_000, intermediate_size=4_000)
    written(runner, [16, 16])

    assert capture.captured == 1
    assert 0.5 * kept[0] < capture.operators.most <= kept[0]


def test_memory_of_captured_steps_is_kept_free_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_gpu(step_bytes: int) -> Runner:
        return cast(Runner, SimpleNamespace(device=torch.device("cuda"), bytes_per_token=1000, step_bytes=step_bytes))

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (20_000_000, 24_000_000))

    assert affordable_blocks(on_gpu(0), None) == 1000
    assert affordable_blocks(on_gpu(4_000_000), None) == 800
    assert runner_of(None).step_bytes == 0
    assert runner_of(Repeating()).step_bytes > step_graphs.MOST_GRAPHS * 100 * step_graphs.KERNEL_BYTES
