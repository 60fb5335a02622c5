from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.conftest import OWNER_CODE
from tests.server import running_server
from tests.tiny import TINY_PATH

OWNER = {"Authorization": f"Bearer {OWNER_CODE}"}
"""What the server's owner sends."""


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its data, and what it said: ``log.txt``."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(server_folder: Path) -> Iterator[str]:
    """The address of a real server with the tiny Baichuan checkpoint."""
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DATA_DIR": str(server_folder), "BAICHUAN_DTYPE": "float32"}
    env["BAICHUAN_OWNER_CODE"] = OWNER_CODE
    with running_server(server_folder / "log.txt", env) as address:
        yield address
