"""The command line."""

import sys
from pathlib import Path

import pytest

from bench.__main__ import main, publish
from bench.plots import PLOTS
from bench.run import CONVERSATIONS, PARTS


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
