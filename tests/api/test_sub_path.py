"""Everything below one path, for a proxy that passes it on as it is."""

from collections.abc import Iterator

import pytest
import requests

from tests.access.conftest import LOCKED, MODEL, OWNER_CODE, VISITOR_CODE, wait_until_ready
from tests.server import running_server

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a locked server's page below ``/team/chat``."""
    log = tmp_path_factory.mktemp("sub-path") / "log.txt"
    options = ["--server.baseUrlPath", "team/chat"]
    with running_server(log, {**LOCKED, **MODEL}, wait_for="/team/chat/health", options=options) as address:
        wait_until_ready(address, OWNER_CODE)
        yield address + "/team/chat"


@pytest.mark.parametrize(("path", "status"), [("/", 401), ("/ready", 401), ("/v1/models", 401), ("/health", 200)])
def test_the_lock_knows_the_paths_below(below: str, path: str, status: int) -> None:
    answer = requests.get(below + path, timeout=30)
    assert answer.status_code == status
    assert ("code" in answer.json().get("error", "")) == ("v1" in path or status == 401)


def test_signing_in_leads_back_and_the_cookie_stays_below(below: str) -> None:
    answer = requests.post(
        below + "/login", data={"code": VISITOR_CODE, "next": "?a=1"}, allow_redirects=False, timeout=30
    )
    assert answer.headers["Location"] == "./?a=1"
    assert "Path=/team/chat;" in answer.headers["Set-Cookie"]
    session = requests.Session()
    page = session.get(f"{below}?code={VISITOR_CODE}&a=1", headers=HTML, timeout=30)
    assert page.url == f"{below}/?a=1"
    assert "static/js" in page.text


def test_the_apis_are_below_as_well_as_the_page(below: str) -> None:
    headers = {"Authorization": f"Bearer {VISITOR_CODE}"}
    assert requests.get(below + "/ready", headers=headers, timeout=30).json()["status"] == "ready"
    call = {"prompt": "你好"}
    assert requests.post(below + "/", json=call, headers=headers, timeout=60).json()["status"] == 200
    assert "static/js" in requests.get(below + "/", headers=headers, timeout=30).text


def test_slashes_too_many_and_paths_that_are_nowhere_are_understood_below_as_well(below: str) -> None:
    headers = {"Authorization": f"Bearer {VISITOR_CODE}"}
    assert requests.get(below + "//v1//models/", headers=headers, timeout=30).status_code == 200
    answer = requests.get(below + "/version", headers=headers, timeout=30)
    assert answer.status_code == 404
    assert "There is no GET /version" in answer.json()["error"]["message"]
