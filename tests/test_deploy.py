"""What the Dockerfile copies is there."""

import re
from fnmatch import fnmatch

from tests.server import ROOT


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
