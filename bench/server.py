"""The application as it is installed: the real server in a process of its own, over the checkpoint that is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from components.checkpoints.locate import Checkpoint
from components.settings import ENV_PREFIX, Settings
from tests.server import running_server

RUNNING = {"data_dir", "device", "dtype", "quantize", "engine", "max_batch", "cache_gb"}


def environment(settings: Settings, checkpoint: Checkpoint) -> dict[str, str]:
    """What decides how the model runs, as variables; access and limits are the defaults."""
    given = settings.model_dump(mode="json", include=RUNNING, exclude_none=True)
    given["model"] = str(checkpoint.path.resolve())
    return {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in given.items()}


@contextmanager
def application(log: Path, env: dict[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Run ``streamlit run app.py``; its address and its process, once the model is ready."""
    before = set(psutil.Process().children())
    with running_server(log, env, preloaded=False) as address:
        (process,) = set(psutil.Process().children()) - before
        yield address, process
