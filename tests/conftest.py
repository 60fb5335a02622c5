"""What every test may use."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from components.checkpoints.locate import DEMO_NAME, is_complete

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"


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
