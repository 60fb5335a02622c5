"""Where the server's log lines go: readable ones to the terminal, one JSON line a request to a file.

A request's line says who asked for what, how it ended, how many tokens and seconds it took, never what was said, unless
the settings switch that on.
"""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any

from components.settings import Settings

REQUESTS = "components.requests"
FILE_BYTES = 10_000_000
OLD_FILES = 5

_requests = logging.getLogger(REQUESTS)


def set_up_logs(settings: Settings) -> None:
    """Send this application's log where it belongs. Called once, by the server."""
    terminal = logging.StreamHandler()
    terminal.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    ours = logging.getLogger("components")
    ours.setLevel(logging.INFO)
    ours.addHandler(terminal)
    ours.propagate = False
    folder = settings.data_dir / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(folder / "requests.jsonl", maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    _requests.addHandler(file)
    _requests.propagate = False


def log_request(kind: str, **fields: Any) -> None:
    """Write one line of JSON. ``kind`` is "http" for a call of an API, "reply" for a reply that has ended."""
    if not _requests.isEnabledFor(logging.INFO):
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    _requests.info(json.dumps({"time": now, "kind": kind, **fields}, ensure_ascii=False))
