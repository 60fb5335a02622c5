"""The real server in a process of its own."""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.preloaded import Forked, Process

ROOT = Path(__file__).parent.parent
DEADLINE_SECONDS = 600


def free_port() -> int:
    """A port on loopback that nobody uses now.

    It is none that the system gives to whoever connects, so nobody takes it before a server has started; and a random
    one, because several processes may look for one at the same time.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)  # a seed would give two processes the same one
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running_server(
    log: Path,
    env: Mapping[str, str],
    script: str = "app.py",
    wait_for: str = "/ready",
    options: Sequence[str] = (),
    port: int | None = None,
    preloaded: bool = True,
) -> Iterator[str]:
    """Run ``streamlit run SCRIPT`` and yield its address once ``wait_for`` answers with 200.

    Args:
        log: the server's output goes to this file.
        env: set on top of the environment; no ``BAICHUAN_*`` variable of the caller's comes through. The data folder
            is the log's unless it is set here.
        script: relative to the project.
        port: a free one if it is not given.
        options: more of Streamlit's own, such as ``--server.address 0.0.0.0``.
        wait_for: a path, such as ``/health`` to meet the server while its model still loads.
        preloaded: have the large libraries imported already, which saves seconds of computing.
    """
    port = port or free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BAICHUAN_")}
    program = ["-m", "streamlit", "run", script, "--server.port", str(port), *options]
    env = {**inherited, "BAICHUAN_DATA_DIR": str(log.parent), **env}
    process: Process
    with log.open("w") as output:
        if preloaded:
            process = Forked(program, env, ROOT, log, log)
        else:
            command = [sys.executable, *program]
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_answered(address + wait_for, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_answered(url: str, process: Process, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer. The server said:\n{log.read_text()}")
