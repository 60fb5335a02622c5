"""Readers on a GPU: that it runs, that what its memory would allow is counted right, and what is said without one."""

import sys
from pathlib import Path

import pytest
import torch

from bench import __main__ as bench
from bench.card import Card, measure_card
from bench.gpu_tables import gpu_page
from bench.machine import describe_machine
from bench.results import Results, Setup
from bench.run import GPU
from bench.shaped_checkpoint import Sizes, build_shaped
from bench.targets import APPLICATION, BATCH, Answer
from bench.throughput import Crowd
from tests.bench.test_tables import rows_of

SMALL = Sizes(64, 172, 3, 4, 5000)


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--gpu", *options])
    bench.main()


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as end:
        run(monkeypatch)

    assert end.value.code == 2
    assert capsys.readouterr().err == bench.NO_GPU


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--quick", "--publish"], "--publish is for whole"), (["--only", "start"], "leave out --only")],
)
def test_what_does_not_go_together_is_refused(
    options: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, *options)
    assert said in capsys.readouterr().err


def test_it_can_be_tried_without_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    run(monkeypatch, "--quick")

    assert {path.name for path in (tmp_path / "results").iterdir()} == {"gpu.md", "results.json"}
    rows = rows_of((tmp_path / "results" / "gpu.md").read_text(encoding="utf-8"), "Many readers at once")
    assert [(row[0], row[1]) for row in rows] == [
        (readers, target) for readers in ("1", "3") for target in (BATCH, APPLICATION)
    ]
    assert all(float(row[2]) > 0 for row in rows)
    assert [row[6] for row in rows] == ["0 of 1", "0 of 1", "0 of 3", "0 of 3"], "a reply ended early"


def test_the_page_is_published_alone(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    results.mkdir()
    (results / "gpu.md").write_text("measured", encoding="utf-8")
    bench.publish(results, docs, [GPU])

    assert [path.name for path in docs.iterdir()] == ["gpu.md"]


def test_speeds_stand_beside_what_memory_would_allow() -> None:
    """Of 1 TB/s: with 9 GB of weights and 1 MB a token, of which each reader has 100 and half of 60."""

    def crowd(target: str, readers: int, seconds: float) -> Crowd:
        answer = Answer("text", tokens=60, prompt_tokens=100, first=0.1, seconds=seconds)
        return Crowd(target, 0, readers, 60, seconds, (answer,) * readers)

    results = Results(
        describe_machine(),
        Setup("random weights", "temperature 0.3", rounds=1, places=8, kept=0),
        crowds=[
            *(crowd(BATCH, 1, 2.0), crowd(BATCH, 8, 2.0)),
            *(crowd(APPLICATION, 1, 1.0), crowd(APPLICATION, 8, 0.8)),
        ],
        card=Card("Some GPU", "13.0", 24 * 2**30, 1e12, 9_000_000_000, 1_000_000),
    )
    text = gpu_page(results)

    assert "Some GPU, 24 GiB, CUDA 13.0; 1000 GB/s" in text
    assert rows_of(text, "Many readers at once") == [
        ["1", BATCH, "30.0", "1.00", "109.5", "27 %", "0 of 1"],
        ["1", APPLICATION, "60.0", "2.00", "109.5", "55 %", "0 of 1"],
        ["8", BATCH, "240.0", "1.00", "796.8", "30 %", "0 of 8"],
        ["8", APPLICATION, "600.0", "2.50", "796.8", "75 %", "0 of 8"],
    ]


def test_what_a_step_reads_is_the_models() -> None:
    model, _ = build_shaped(SMALL, torch.float32, "cpu")
    read = [weight for name, weight in model.named_parameters() if "norm" not in name and "embed" not in name]
    card = measure_card("cpu", SMALL, 2**20)

    assert card.weight_bytes == sum(weight.nbytes for weight in read)
    assert card.token_bytes == 2 * 3 * 64 * 4
    assert card.bandwidth > 1e8
