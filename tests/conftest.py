"""What every test may use."""

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.checkpoints.locate import DEMO_NAME, is_complete
from components.lab.jobs import Jobs
from components.logs import REQUESTS
from components.model.limits import available_memory, usable_cores
from components.store.database import Database
from tests.postgres import Cluster

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"

WORKER_BYTES = 4 * 2**30
"""Of memory, with the libraries, the small models and the servers of one process of tests."""

MOST_WORKERS = 4


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch computes on one thread, whatever an engine that was loaded before has set.

    Several wait for each other over small tensors, and libraries may then add up in another order.
    """
    import torch  # seconds, which most tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_configure() -> None:
    """Before any test is read: what this process and the programs that it starts inherit."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # A shell's background job ignores Ctrl-C, and so would what a test starts and interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The workers share the processor's cores; more threads than cores only wait for each other.
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since tests mostly wait for a page, an answer, or a program that starts."""
    fitting = available_memory() // WORKER_BYTES
    return max(1, min(usable_cores() + 1, fitting, MOST_WORKERS))


@pytest.hookimpl(tryfirst=True)  # before xdist's own, which reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests: which belong together, and which come last.

    Tests with the same real server stay in one process, which starts it once; else a file is the unit. Playwright
    leaves an event loop running in its thread, where no other could be run, so the browser's come last in each; of
    these the largest files first, so that no process is left with one when the others have nothing to do any more.
    """
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        used = getattr(item, "fixturenames", ())
        shared = next((name for name in ("server", "locked_server") if name in used and folder != "browser"), None)
        item.add_marker(pytest.mark.xdist_group(f"{folder}-{shared}" if shared else str(item.path)))
    sizes = Counter(item.path for item in items if item.path.parent.name == "browser")
    items.sort(key=lambda item: (item.path in sizes, -sizes[item.path]))


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server for the tests of this process."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """What writes the lab's sheets, over a database of the test's own."""
    jobs = Jobs(Database(f"sqlite:///{tmp_path / 'chats.db'}"))
    yield jobs
    jobs.close()
    jobs.database.close()


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
