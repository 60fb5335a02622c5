"""The command line."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench.__main__
from bench import run
from bench.__main__ import main, publish
from bench.plots import PLOTS
from bench.run import CONVERSATIONS, PARTS
from bench.startup import CLASSES, IMPORTS, SERVER, Start
from bench.websocket import Traffic
from components.settings import Settings
from tests.tiny import TINY_PATH


def test_publishing_copies_the_page_and_what_it_shows(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs" / "bench"
    results.mkdir()
    for name in ("README.md", "conversations.md", "results.json", *(f"{name}.png" for name in PLOTS)):
        (results / name).write_text(name, encoding="utf-8")

    publish(results, docs, [CONVERSATIONS, "start"])
    assert {path.name for path in docs.iterdir()} == {"conversations.md"}
    publish(results, docs, PARTS)
    assert {path.name for path in docs.iterdir()} == {
        *("README.md", "conversations.md"),
        *(f"{name}.png" for name in PLOTS),
    }
    assert (docs / "README.md").read_text(encoding="utf-8") == "README.md"


@pytest.mark.parametrize("options", [["--quick"], ["--only", "start"], ["--quick", "--only", CONVERSATIONS]])
def test_part_of_a_run_is_not_published(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--publish", *options])

    with pytest.raises(SystemExit):
        main()
    assert "--publish is for whole pages" in capsys.readouterr().err


def test_a_part_that_fails_costs_no_other_its_figures(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def failing(*_: object) -> Iterator[Traffic]:
        yield Traffic("half a page", "prose", 1, 1, 1, 1)
        raise RuntimeError("no such page")

    def starts(*_: object) -> list[Start]:
        return [Start(what, 2.5) for what in (IMPORTS, CLASSES, SERVER)]

    monkeypatch.setattr(bench.__main__, "get_settings", lambda: Settings(model=TINY_PATH))
    monkeypatch.setattr(run, "measure_traffic", failing)
    monkeypatch.setattr(run, "measure_starts", starts)
    for name, folder in (("ROOT", tmp_path), ("RESULTS", tmp_path / "results"), ("PUBLISHED", tmp_path / "docs")):
        monkeypatch.setattr(bench.__main__, name, folder)
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--only", "websocket", "start"])

    with pytest.raises(SystemExit, match="Not measured: websocket"):
        main()
    page = (tmp_path / "results" / "README.md").read_text(encoding="utf-8")
    assert "2.5" in page
    assert "half a page" not in page
    assert "no such page" in caplog.text
