"""What the README prints works, and what it lists is so."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from components.settings import Settings
from scripts.update_docs import update
from tests.server import ROOT, running_server
from tests.tiny import TINY_PATH

READMES = ["README.md", "README.zh.md"]
ADDRESS = "http://127.0.0.1:6006"


def api_examples(language: str) -> list[tuple[str, str]]:
    """The blocks of a language in the READMEs' part about the APIs, each with the README that it is from."""
    found = []
    for readme in READMES:
        text = (ROOT / readme).read_text(encoding="utf-8")
        part = re.split(r"^## ", text.partition("\n## HTTP API\n")[2], flags=re.MULTILINE)[0]
        blocks = re.findall(rf"^```{language}\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
        found += [(readme, block) for block in blocks]
    return found


CURL = [example for example in api_examples("bash") if example[1].startswith("curl ")]
PYTHON = api_examples("python")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DATA_DIR": str(folder)}
    with running_server(folder / "log.txt", env) as one:
        yield one


@pytest.mark.parametrize(("readme", "block"), CURL)
def test_every_curl_example_of_the_apis_works_as_printed(address: str, readme: str, block: str) -> None:
    assert ADDRESS in block, readme
    strict = 'curl() { command curl --silent --show-error --fail "$@"; }\n'
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", strict + block.replace(ADDRESS, address)], capture_output=True, text=True
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert '"error"' not in result.stdout


@pytest.mark.parametrize(("readme", "block"), PYTHON)
def test_every_python_example_of_the_apis_works_as_printed(address: str, readme: str, block: str) -> None:
    assert ADDRESS in block, readme
    result = subprocess.run([sys.executable, "-c", block.replace(ADDRESS, address)], capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_both_readmes_have_examples_of_both_kinds() -> None:
    for examples in (CURL, PYTHON):
        assert [readme for readme, _ in examples if readme == READMES[0]], "none in README.md"
        assert len([readme for readme, _ in examples if readme == READMES[0]]) * 2 == len(examples)


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
