"""A large model on the CPU: that it runs, and that its memory and speed are held against the right figures."""

import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.card import Card, Loading
from bench.large_tables import large_page
from bench.machine import describe_machine
from bench.results import Results, Setup
from bench.targets import APPLICATION, Answer
from bench.throughput import Crowd
from tests.bench.test_tables import rows_of


def test_it_can_be_tried_with_a_tiny_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["bench", "--large", "--quick"])
    bench.main()

    assert {path.name for path in (tmp_path / "results").iterdir()} == {"large.md", "results.json"}
    text = (tmp_path / "results" / "large.md").read_text(encoding="utf-8")
    speeds = rows_of(text, "Speed")
    assert [row[0] for row in speeds] == ["1", "3"]
    assert all(float(row[1]) > 0 for row in speeds)
    assert len(rows_of(text, "Memory")) == 1


def test_it_is_measured_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for other in (["--gpu"], ["--only", "start"], ["--url", "http://127.0.0.1:1/v1"]):
        monkeypatch.setattr(sys, "argv", ["bench", "--large", "--quick", *other])
        with pytest.raises(SystemExit):
            bench.main()
        assert "measures nothing else" in capsys.readouterr().err


@pytest.mark.parametrize(("peak", "reached", "met"), [(10, "91 %", "yes"), (12, "109 %", "**no**")])
def test_memory_and_speed_stand_beside_what_may_be(peak: int, reached: str, met: str) -> None:
    """Weights of 8 GB, files of 1.8 GB, and 16 GB/s: without what readers' tokens take, two steps in a second."""
    answer = Answer("text", tokens=60, prompt_tokens=100, first=0.1, seconds=40.0)
    results = Results(
        describe_machine(),
        Setup("random weights", "temperature 0.3", rounds=1, places=8, kept=0),
        crowds=[Crowd(APPLICATION, 0, users, 60, 40.0, (answer,) * users) for users in (1, 8)],
        card=Card("CPU", None, None, 16e9, 8_000_000_000, 0),
        loading=Loading(8_000_000_000, 1_800_000_000, peak * 10**9, 100.0),
    )
    text = large_page(results)

    assert [row[2:] for row in rows_of(text, "Goals")] == [[reached, met]]
    assert rows_of(text, "Speed") == [["1", "1.50", "2.00", "75 %"], ["8", "12.00", "16.00", "75 %"]]
