"""``make run`` finds a Python, or says in one line how to get one."""

import os
import subprocess
from pathlib import Path

from tests.server import ROOT


def find_python(folder: Path, **programs: str) -> "subprocess.CompletedProcess[str]":
    for name, content in programs.items():
        program = folder / name.replace("_", ".")
        program.write_text(f"#!/bin/sh\n{content}\n")
        program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"} | {"PATH": str(folder)}
    return subprocess.run(
        ["/bin/bash", ROOT / "scripts" / "find-python"], env=environment, capture_output=True, text=True
    )


def test_the_first_that_is_new_enough_and_runs_is_taken(tmp_path: Path) -> None:
    done = find_python(
        tmp_path, python3_11="exit 127", python3_12="echo /opt/python3.12", python3="echo /usr/bin/python3"
    )

    assert (done.returncode, done.stdout) == (0, "/opt/python3.12\n")


def test_without_one_a_line_says_how_to_get_it(tmp_path: Path) -> None:
    done = find_python(tmp_path, python3="exit 1", conda="exit 0")

    assert done.returncode == 1
    assert "conda create" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert done.stderr.count("\n") == 1
