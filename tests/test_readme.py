"""What the README prints works, and what it lists is so."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.settings import Settings
from scripts.update_docs import update
from tests.server import ROOT, running_server
from tests.tiny import TINY_PATH

READMES = ["README.md", "README.zh.md"]
ADDRESS = "http://127.0.0.1:6006"


def blocks(readme: str, language: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("readme", READMES)
def test_the_api_examples_work_as_printed(readme: str, tmp_path: Path) -> None:
    curl = next(block for block in blocks(readme, "bash") if block.startswith("curl"))
    script = next(block for block in blocks(readme, "python"))
    with running_server(tmp_path / "log.txt", {"BAICHUAN_MODEL": str(TINY_PATH)}) as address:
        by_curl = subprocess.run(
            ["bash", "-c", curl.replace(ADDRESS, address)], capture_output=True, text=True, check=True
        )
        by_requests = subprocess.run(
            [sys.executable, "-c", script.replace(ADDRESS, address)], capture_output=True, text=True, check=True
        )

    assert json.loads(by_curl.stdout).keys() == {"response", "status", "time"}
    assert by_requests.stdout.strip()


def test_the_lists_made_from_the_code_are_up_to_date() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert update(text) == text, "run: make docs"


def test_the_chinese_settings_name_the_same_variables_and_defaults() -> None:
    def rows(readme: str) -> list[list[str]]:
        text = (ROOT / readme).read_text(encoding="utf-8")
        return [row.split("|")[1:3] for row in text.splitlines() if row.startswith("| `BAICHUAN_")]

    assert rows("README.zh.md") == rows("README.md")
    assert len(rows("README.md")) == len(Settings.model_fields)


@pytest.mark.parametrize("readme", READMES)
def test_every_file_that_is_linked_is_there(readme: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / readme).read_text(encoding="utf-8"))

    assert links
    for link in links:
        assert (ROOT / link).exists(), link
