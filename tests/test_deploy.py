"""What the guide to deployment and the Dockerfile name is there."""

import re
from fnmatch import fnmatch

import pytest

from components.settings import ENV_PREFIX, Settings
from tests.server import ROOT

GUIDES = ["docs/deploy.md", "docs/deploy.zh.md"]


def test_all_that_the_image_copies_is_there_and_not_ignored() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert any(fnmatch(name, f"{source}*") for name in kept), f"{source} is left out by .dockerignore"


def test_the_image_has_every_file_of_the_application() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for script in ROOT.glob("*.py"):
        assert script.name in dockerfile


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guide_names_settings_that_exist(guide: str) -> None:
    named = set(re.findall(rf"{ENV_PREFIX}(\w+)", (ROOT / guide).read_text()))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


def test_both_guides_give_the_same_commands() -> None:
    def commands(guide: str) -> list[str]:
        blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / guide).read_text(), re.DOTALL | re.MULTILINE)
        return [re.sub(r"\s*#.*", "", block) for block in blocks]

    assert commands(GUIDES[0]) == commands(GUIDES[1])
