"""What every test may use."""

import fcntl
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.checkpoints.locate import DEMO_NAME, is_complete
from components.logs import REQUESTS

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would the programs that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The demo model, fetched the way a user fetches it if it is not in the models folder yet."""
    MODELS.mkdir(exist_ok=True)
    with (MODELS / ".lock").open("w") as lock:  # tests that run in several processes fetch it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_complete(MODELS / DEMO_NAME):
            command = [sys.executable, "download.py", "--source", "demo", "--dir", str(MODELS)]
            subprocess.run(command, cwd=ROOT, check=True)
    return MODELS / DEMO_NAME


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def request_lines() -> Iterator[list[dict[str, Any]]]:
    """The lines that go to the log of requests in this process, as they come."""
    lines: list[dict[str, Any]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(record.getMessage()))

    logger, handler = logging.getLogger(REQUESTS), Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)
