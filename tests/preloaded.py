"""Programs in processes that have imported already what takes seconds: forked from one process that imported it once.

What is imported there is other people's; the program itself and all modules of this project are imported by every
process anew. Hugging Face's libraries read their environment when they are imported: where that matters, a program is
to be started in the ordinary way.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from types import ModuleType
from typing import Protocol
from unittest.mock import patch

LIBRARIES = [
    "torch",
    "torch._dynamo",
    "transformers.generation",
    "transformers.modeling_utils",
    "transformers.models.llama.modeling_llama",
    "streamlit.web.bootstrap",
    "streamlit.web.cli",
    "fastapi",
    "sqlalchemy",
    "pandas",
    "altair",
    "openai",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


class Process(Protocol):
    """What ``subprocess.Popen`` and ``Forked`` have in common."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """What ``python *program`` would be."""

    def __init__(
        self, program: Sequence[str], env: Mapping[str, str], folder: Path, output: Path, errors: Path
    ) -> None:
        """Start it.

        Args:
            program: a script and its arguments, or ``-m``, a module and its arguments.
            env: its whole environment.
            folder: where it runs.
            output: the file to which it writes.
            errors: the file for what it writes to stderr; it may be the same.
        """
        self._process = _context.Process(target=_run, args=(program, dict(env), folder, output, errors))
        # multiprocessing has a child run its parent's main program again, in which AppTest puts the pages that it runs.
        with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
            self._process.start()
        self.terminate, self.kill = self._process.terminate, self._process.kill

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code


def run(program: Sequence[str], env: Mapping[str, str], folder: Path, told: Path) -> "subprocess.CompletedProcess[str]":
    """Have it run to its end, two minutes at the most; what it says goes through files in the folder ``told``."""
    output, errors = told / "stdout.txt", told / "stderr.txt"
    for file in (output, errors):
        file.write_text("")
    process = Forked(program, env, folder, output, errors)
    try:
        code = process.wait(120)
    finally:
        process.kill()
    return subprocess.CompletedProcess(program, code, output.read_text(), errors.read_text())


def _run(program: Sequence[str], env: Mapping[str, str], folder: Path, output: Path, errors: Path) -> None:
    for file, number in ((output, 1), (errors, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    resource_tracker._resource_tracker._fd = None  # type: ignore[attr-defined] # like any other, it has its own
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    is_module = program[0] == "-m"
    sys.argv = list(program[is_module:])
    sys.path[0] = str(folder)
    if is_module:
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program[0], run_name="__main__")
