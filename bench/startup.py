"""How long the server takes from its start to the first possible reply, beside what its libraries alone take."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.server import application

SERVER = "streamlit run app.py until /ready"
WITH_LLAMA_CPP = "BAICHUAN_ENGINE=llamacpp streamlit run app.py until /ready"
IMPORTS = "import torch, transformers, streamlit"
CLASSES = f"{IMPORTS}; from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM"
"""transformers imports its parts when they are first used; this is what every program imports that loads a model."""


@dataclass(frozen=True)
class Start:
    """One start of a fresh process, in seconds."""

    what: str
    seconds: float


def measure_starts(folder: Path, servers: Mapping[str, dict[str, str]], rounds: int) -> Iterator[Start]:
    """Start each in turn; a first round, in which files come from the disk, does not count.

    Args:
        folder: for logs.
        servers: the variables of each.
        rounds: how often.
    """
    for number in range(rounds + 1):
        for what in (IMPORTS, CLASSES, *servers):
            began = time.perf_counter()
            if what in servers:
                with application(folder / "start.log", servers[what]):
                    seconds = time.perf_counter() - began
            else:
                subprocess.run([sys.executable, "-c", what], check=True)
                seconds = time.perf_counter() - began
            if number > 0:
                yield Start(what, seconds)
