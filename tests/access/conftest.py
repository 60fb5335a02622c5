import time
from collections.abc import Iterator

import pytest
import requests

from tests.server import running_server
from tests.tiny import TINY_PATH

VISITOR_CODE = "visitors-come-in"
OWNER_CODE = "owners-come-in"

MODEL = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DTYPE": "float32"}
LOCKED = {
    "BAICHUAN_ACCESS": "locked",
    "BAICHUAN_ACCESS_CODE": VISITOR_CODE,
    "BAICHUAN_OWNER_CODE": OWNER_CODE,
}


def wait_until_ready(address: str, code: str) -> None:
    """Until the model behind a lock has loaded."""
    while requests.get(address + "/ready", headers={"Authorization": f"Bearer {code}"}, timeout=60).status_code == 503:
        time.sleep(0.2)


@pytest.fixture(scope="session")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server that lets nobody in without a code."""
    folder = tmp_path_factory.mktemp("locked")
    env = {**MODEL, **LOCKED, "BAICHUAN_DATA_DIR": str(folder / "data"), "BAICHUAN_CORS_ORIGINS": "https://example.org"}
    with running_server(folder / "log.txt", env, wait_for="/health") as address:
        wait_until_ready(address, OWNER_CODE)
        yield address
