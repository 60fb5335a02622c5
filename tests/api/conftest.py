from collections.abc import Iterator

import pytest

from tests.access.conftest import OWNER_CODE
from tests.server import running_server
from tests.tiny import TINY_PATH


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server with the tiny Baichuan checkpoint."""
    folder = tmp_path_factory.mktemp("server")
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DATA_DIR": str(folder), "BAICHUAN_DTYPE": "float32"}
    env["BAICHUAN_OWNER_CODE"] = OWNER_CODE
    with running_server(folder / "log.txt", env) as address:
        yield address
