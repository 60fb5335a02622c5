"""``make run`` finds a Python, or says in one line how to get one."""

import os
import shutil
import subprocess
import sys
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


def test_a_python_that_is_named_makes_the_environment(tmp_path: Path) -> None:
    """By hand on the command line, as the line above says, or in the environment: it is never installed into."""
    (tmp_path / "scripts").mkdir()
    for name in ("Makefile", "scripts/find-python"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scripts" / "torch-index").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    named = tmp_path / "named-python"
    named.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {sys.executable} "$@"\n')
    named.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS")}

    def make(*options: str, **more: str) -> None:
        subprocess.run(["make", *options, "install"], cwd=tmp_path, env=environment | more, check=True, timeout=300)

    make(f"PYTHON={named}")
    assert (tmp_path / ".venv" / "installed").exists()
    assert "pip install" not in (tmp_path / "asked").read_text()

    (tmp_path / ".venv" / "bin" / "python").unlink()  # as when the system has taken another Python
    (tmp_path / ".venv" / "bin" / "python").symlink_to(tmp_path / "gone")
    make(PYTHON=str(named))
    done = subprocess.run([tmp_path / ".venv" / "bin" / "python", "-c", "import sys; print(sys.prefix)"], stdout=-1)
    assert done.stdout.decode().strip() == str(tmp_path / ".venv")
