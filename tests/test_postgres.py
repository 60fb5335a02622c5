"""The tests' own PostgreSQL leaves nothing running, however the tests end."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.postgres import Cluster
from tests.server import ROOT

PROGRAM = "from tests.postgres import Cluster; import sys; print(Cluster().folder, flush=True); sys.stdin.read()"


def servers(folder: Path) -> list[psutil.Process]:
    """Those whose data are in a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder / "data") in (process.info["cmdline"] or [])
    ]


def test_the_server_ends_when_the_tests_are_killed() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert servers(folder)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while servers(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shutil.rmtree(folder)


def test_a_database_is_dropped_in_the_end(postgres: Cluster) -> None:
    with postgres.database() as url:
        psycopg.connect(url).close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
