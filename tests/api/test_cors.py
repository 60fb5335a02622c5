"""Pages of other origins that call the APIs."""

import pytest
import requests

from tests.access.conftest import VISITOR_CODE, locked_server

__all__ = ["locked_server"]

FRIEND, STRANGER = "https://example.org", "https://evil.example"


def preflight(server: str, path: str, origin: str) -> requests.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return requests.options(server + path, headers=headers, timeout=30)


@pytest.mark.parametrize("path", ["/", "/v1/chat/completions", "/tokenize"])
def test_a_named_origin_may_ask_and_call(locked_server: str, path: str) -> None:
    asked = preflight(locked_server, path, FRIEND)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in asked.headers

    headers = {"Origin": FRIEND, "Authorization": f"Bearer {VISITOR_CODE}"}
    called = requests.post(
        locked_server + path, json={"prompt": "hi", "max_new_tokens": 1}, headers=headers, timeout=60
    )
    assert called.headers["Access-Control-Allow-Origin"] == FRIEND
    refused = requests.post(locked_server + path, headers={"Origin": FRIEND}, timeout=60)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == FRIEND


def test_other_origins_may_not(locked_server: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(locked_server, "/v1/models", STRANGER).headers


def test_the_page_and_its_files_are_for_no_other_origin(locked_server: str) -> None:
    for path in ("/_stcore/host-config", "/media/x"):
        assert preflight(locked_server, path, FRIEND).status_code == 401


def test_without_a_named_origin_nothing_is_allowed(server: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(server, "/", FRIEND).headers
    answer = requests.post(server + "/", json={"prompt": "hi"}, headers={"Origin": FRIEND}, timeout=60)
    assert answer.status_code == 403
