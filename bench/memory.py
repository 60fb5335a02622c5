"""The most memory that a process ever held (VmHWM), for the server and for the plain loop. Linux only."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.apps.replies import TEXT
from bench.loading import load_plain
from bench.process import spawn
from bench.questions import question
from bench.server import application
from bench.startup import IMPORTS
from bench.targets import PLAIN
from components.checkpoints.locate import Checkpoint
from components.model.chat_format import Message
from components.settings import Settings

READERS = 8
REPLY_TOKENS = 32
LONG_PROMPT_CHARACTERS = 6000


@dataclass(frozen=True)
class Peak:
    """The most memory that ``what`` held, in bytes."""

    what: str
    bytes: int


def measure_peaks(
    settings: Settings, checkpoint: Checkpoint, folder: Path, servers: Mapping[str, dict[str, str]]
) -> Iterator[Peak]:
    """Each in a process of its own, after a long prompt and some readers at once.

    Args:
        settings: for the plain loop's device and dtype.
        checkpoint: what both run.
        folder: for logs.
        servers: the variables of each.
    """
    script = f"{IMPORTS}; print(open('/proc/self/status').read())"
    status = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    yield Peak(IMPORTS, _peak_in(status))
    with spawn() as process:
        yield Peak(PLAIN, process.submit(_peak_of_plain, settings, checkpoint).result())
    for what, env in servers.items():
        with application(folder / "memory.log", env) as (address, server):
            with ThreadPoolExecutor(READERS) as readers:
                list(readers.map(partial(_post, address), _conversations()))
            yield Peak(what, sum(peak_of(process.pid) for process in (server, *server.children(recursive=True))))


def peak_of(pid: int | str) -> int:
    """The most memory that a running process has held so far, in bytes."""
    return _peak_in(Path(f"/proc/{pid}/status").read_text(encoding="ascii"))


def _peak_in(status: str) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found, "Linux tells it"
    return int(found[1]) * 1024


def _conversations() -> list[list[Message]]:
    long = f"Sum up: {TEXT.read_text(encoding='utf-8')[:LONG_PROMPT_CHARACTERS]}"
    return [[{"role": "user", "content": long}], *(question(reader, "Memory") for reader in range(1, READERS))]


def _peak_of_plain(settings: Settings, checkpoint: Checkpoint) -> int:
    target = load_plain(settings, checkpoint).target
    target.answer_at_once(_conversations(), REPLY_TOKENS)
    return peak_of("self")


def _post(address: str, messages: list[Message]) -> None:
    body = json.dumps({"prompt": messages[-1]["content"], "max_new_tokens": REPLY_TOKENS}).encode()
    with urllib.request.urlopen(address, body, timeout=600) as response:
        response.read()
