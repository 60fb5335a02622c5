import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.access.conftest import LOCKED
from tests.server import running_server

SAID = [{"role": "user", "content": "Why <b>bold</b>?"}, {"role": "assistant", "content": "Because."}]

Reader = Callable[[], requests.Session]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="session")
def web(folder: Path) -> Iterator[str]:
    """The address of a server that lets this machine in."""
    env = {"BAICHUAN_MAX_IMPORT_BYTES": "100000", "BAICHUAN_CORS_ORIGINS": "https://example.org"}
    with running_server(folder / "log.txt", env, "tests/browser/scripted_app.py", "/_stcore/health") as address:
        yield address


@pytest.fixture(scope="session")
def locked_web(folder: Path) -> Iterator[str]:
    """A server over the same database that lets nobody in without a code."""
    env = {**LOCKED, "BAICHUAN_DATA_DIR": str(folder)}
    with running_server(folder / "locked.txt", env, "tests/browser/scripted_app.py", "/health") as address:
        yield address


@pytest.fixture
def reader(web: str) -> Reader:
    """Opens browsers, each of another reader."""

    def open_one() -> requests.Session:
        session = requests.Session()
        session.get(web, headers={"Accept": "text/html"}, timeout=60).raise_for_status()
        return session

    return open_one


def bring_in(session: requests.Session, address: str, data: bytes, **headers: str) -> requests.Response:
    files = {"file": ("chats.json", data)}
    return session.post(f"{address}/import", files=files, headers=headers, allow_redirects=False, timeout=60)


def brought(session: requests.Session, address: str, title: str = "A title", messages: Any = SAID) -> str:
    """The id of a conversation that was brought in."""
    answer = bring_in(session, address, json.dumps({"title": title, "messages": messages}).encode())
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix("./?c=")
