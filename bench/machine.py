"""Where and with what a run was made."""

import os
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import torch
import xllamacpp

from components.model.limits import usable_cores

PACKAGES = ("torch", "transformers", "streamlit", "openai", "playwright")

AVX2, AVX512 = "AVX2", "AVX512"
"""Instructions, as PyTorch names them."""


@dataclass(frozen=True)
class Machine:
    """``vectors`` are the widest instructions that PyTorch uses here; llama.cpp has those that it was built for.

    ``memory`` is in bytes; ``load`` the mean number of busy processes in the minute before the run.
    """

    date: str
    cpu: str
    vectors: str
    llama_cpp_has_avx512: bool
    cores: int
    memory: int
    load: float
    system: str
    versions: dict[str, str]


def describe_machine() -> Machine:
    """This one, now."""
    return Machine(
        date=datetime.now().strftime("%Y-%m-%d %H:%M"),
        cpu=_cpu(),
        vectors=torch.backends.cpu.get_cpu_capability(),
        llama_cpp_has_avx512="AVX512" in xllamacpp.get_system_info(),
        cores=usable_cores(),
        memory=psutil.virtual_memory().total,
        load=os.getloadavg()[0],
        system=f"{platform.system()} {platform.machine()}",
        versions={"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    )


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"
