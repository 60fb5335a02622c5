"""The application as it is installed: the real server in a process of its own, over the checkpoint that is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from components.checkpoints.locate import Checkpoint
from components.settings import ENV_PREFIX, Settings
from tests.server import running_server


def environment(settings: Settings, checkpoint: Checkpoint) -> dict[str, str]:
    """The settings as variables, with the checkpoint named."""
    given = settings.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    given["model"] = str(checkpoint.path.resolve())
    return {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in given.items()}


@contextmanager
def application(log: Path, env: dict[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Run ``streamlit run app.py``; its address and its process, once the model is ready."""
    before = set(psutil.Process().children())
    with running_server(log, env) as address:
        (process,) = set(psutil.Process().children()) - before
        yield address, process
