"""What the documents print works, and what they list is so."""

import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from components.settings import Settings
from scripts.update_docs import PARTS, update
from tests.server import ROOT, running_server
from tests.tiny import TINY_PATH

READMES = ["README.md", "README.zh.md"]
WITH_EXAMPLES = [*READMES, "docs/api.md", "docs/api.zh.md"]
SETTINGS = ["docs/settings.md", "docs/settings.zh.md"]

LONGEST_README = 180
"""In lines: it is read at one go, and what is longer has a document of its own."""
ADDRESS = "http://127.0.0.1:6006"


def api_examples(language: str) -> list[tuple[str, str]]:
    """The blocks of a language that call the APIs, each with the document that it is from."""
    found = []
    for document in WITH_EXAMPLES:
        text = (ROOT / document).read_text(encoding="utf-8")
        blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        found += [(document, block) for block in blocks if f"{ADDRESS}/" in block]
    return found


CURL = [example for example in api_examples("bash") if example[1].startswith("curl ")]
PYTHON = api_examples("python")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DATA_DIR": str(folder)}
    with running_server(folder / "log.txt", env, preloaded=False) as one:
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


@pytest.mark.parametrize("document", WITH_EXAMPLES)
def test_each_document_about_the_apis_has_examples_of_both_kinds(document: str) -> None:
    for examples in (CURL, PYTHON):
        assert document in [found for found, _ in examples]


@pytest.mark.parametrize("readme", READMES)
def test_every_path_that_a_readme_lists_is_there(address: str, readme: str) -> None:
    rows = re.findall(r"^\| (`/.*?) \|", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE)
    paths = re.findall(r"`(/.*?)`", " ".join(rows))
    assert len(paths) > 10
    assert [path for path in paths if httpx.get(address + path).status_code == 404] == []


@pytest.mark.parametrize("document", PARTS)
def test_what_is_made_from_the_code_and_the_measurements_is_up_to_date(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")

    assert update(document, text) == text, "run: make docs"


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_is_short_and_begins_with_a_picture_of_the_page(readme: str) -> None:
    lines = (ROOT / readme).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_README
    (picture,) = re.findall(r"^!\[.{20,}\]\((docs/images/.*)\)$", "\n".join(lines[:15]), re.MULTILINE)
    assert (ROOT / picture).stat().st_size < 200_000


def test_the_chinese_settings_name_the_same_variables_and_defaults() -> None:
    def rows(readme: str) -> list[list[str]]:
        text = (ROOT / readme).read_text(encoding="utf-8")
        return [row.split("|")[1:3] for row in text.splitlines() if row.startswith("| `BAICHUAN_")]

    assert rows(SETTINGS[1]) == rows(SETTINGS[0])
    assert len(rows(SETTINGS[0])) == len(Settings.model_fields)
