"""Where vLLM is: named by the settings, in the path, or in a virtual environment of its own, which is made once.

Its own, because vLLM insists on a version of PyTorch that is not ours.
"""

import fcntl
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.checkpoints.fetch import check_free_disk
from components.engine.errors import EngineError
from components.engine.interface import Stage
from components.engine.sidecar.process import Process, last_words
from components.engine.sidecar.running import run
from components.engine.sidecar.vllm.gpus import Gpu
from components.settings import Settings

REQUIREMENT = "vllm==0.32.0"
"""What is installed: the version that was tried with this application."""

PYTHONS = ((3, 11), (3, 14))
"""The oldest and the newest Python that it runs on."""

INSTALLED_BYTES = 15 * 10**9
"""What it takes on disk with its PyTorch and CUDA, downloads included."""

FOLDER = "vllm"
"""In the data folder."""

_UNREACHABLE = re.compile(
    r"No matching distribution|name resolution|Name or service|Connection|timed out|Max retries|ProxyError|SSLError"
)


@dataclass(frozen=True)
class Program:
    """vLLM's command line: how to call it, and the folder that has its helpers."""

    arguments: tuple[str, ...]
    folder: Path


def find_vllm(settings: Settings, gpus: Sequence[Gpu], on_stage: Callable[[Stage], None]) -> Program:
    """The vLLM to run. If there is none yet, it is installed.

    Raises:
        EngineError: the settings name something else, or it cannot be installed here.
        CheckpointError: the disk has no room for it.
    """
    if settings.vllm is not None:
        named = shutil.which(str(settings.vllm))
        if named is None:
            raise EngineError(
                f"BAICHUAN_VLLM={settings.vllm} is no program. Name vLLM's, such as /opt/vllm/bin/vllm, or leave it "
                "out: then the one in the path is used, or one is installed."
            )
        return Program((named,), Path(named).absolute().parent)
    if found := shutil.which("vllm"):
        return Program((found,), Path(found).absolute().parent)
    target = settings.data_dir.absolute() / FOLDER / REQUIREMENT.replace("==", "-")
    with locked(target.parent):
        if not target.exists():
            check_machine(gpus)
            on_stage("installing")
            _install(target)
    return Program((str(target / "bin" / "python"), "-m", "vllm.entrypoints.cli.main"), target / "bin")


def check_machine(gpus: Sequence[Gpu]) -> None:
    """See that what would be installed can run here.

    Raises:
        EngineError: it cannot.
    """
    own = "If there is a vLLM for this machine, name its program in BAICHUAN_VLLM; else leave BAICHUAN_ENGINE out."
    if not gpus:
        raise EngineError(
            f"vLLM needs an NVIDIA GPU, and nvidia-smi shows none here; nor is there a vllm in the path. {own}"
        )
    oldest, newest = PYTHONS
    if not oldest <= sys.version_info[:2] <= newest:
        raise EngineError(
            f"{REQUIREMENT} runs on Python {'.'.join(map(str, oldest))} to {'.'.join(map(str, newest))}, and this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}. Install it into an environment with another Python. {own}"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from making the same thing at the same time; they wait, and then find it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(target: Path) -> None:
    """Make the environment: hidden until it is whole, and deleted when it does not get so."""
    check_free_disk(INSTALLED_BYTES, target.parent, "BAICHUAN_DATA_DIR")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    python = str(partial / "bin" / "python")
    options = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    try:
        run("venv", [sys.executable, "-m", "venv", str(partial)], _describe_venv)
        run("pip", [python, "-m", "pip", "install", *options, REQUIREMENT], _describe_pip)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _describe_venv(process: Process) -> str:
    return (
        f"No virtual environment can be made for vLLM ({process.ending}). {last_words(process.lines)} On Debian and "
        "Ubuntu, apt-get install python3-venv; or name a vLLM that is installed elsewhere in BAICHUAN_VLLM."
    )


def _describe_pip(process: Process) -> str:
    lines = "\n".join(process.lines)
    if "No space left on device" in lines:
        cure = "The disk is full: make room, or choose another one with BAICHUAN_DATA_DIR."
    elif _UNREACHABLE.search(lines):
        cure = (
            "Can this machine reach the package index? PIP_INDEX_URL names another, such as "
            "https://pypi.tuna.tsinghua.edu.cn/simple. Then try again."
        )
    else:
        cure = "The log says more. Try again, or name a vLLM that is installed elsewhere in BAICHUAN_VLLM."
    return f"{REQUIREMENT} could not be installed ({process.ending}). {last_words(process.lines)} {cure}"
