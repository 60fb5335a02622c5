"""What a stranger reaches on a locked server, through real HTTP and WebSockets: next to nothing."""

import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.access.conftest import OWNER_CODE, VISITOR_CODE

STREAM = "/_stcore/stream"


CALL: dict[str, str | int] = {"prompt": "你好", "max_new_tokens": 4}


def as_bearer(code: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {code}"}


def raw_status(server: str, request_line: str, *headers: str) -> int:
    """The status of a request that no client library would send like that."""
    address = urlsplit(server)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        lines = [request_line, f"Host: {address.netloc}", "Connection: close", *headers, "", ""]
        client.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"\r\n" not in answer:
            answer += client.recv(1000)
    return int(answer.split()[1])


def sign_in(server: str, code: str) -> requests.Session:
    session = requests.Session()
    answer = session.post(server + "/login", data={"code": code}, allow_redirects=False, timeout=30)
    assert answer.status_code == 303
    return session


PATHS = [
    ("GET", "/"),
    ("POST", "/"),
    ("PUT", "/"),
    ("OPTIONS", "/"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing/here"),
    ("GET", "/media/0123456789abcdef.png"),
    ("GET", "/component/some/index.html"),
    ("GET", "/app/static/file.txt"),
    ("GET", "/index.html"),
    ("GET", "/favicon.png"),
    ("GET", "/manifest.json"),
    ("GET", "/_stcore/health"),
    ("GET", "/_stcore/host-config"),
    ("GET", "/_stcore/metrics"),
    ("GET", "/_stcore/script-health-check"),
    ("GET", "/_stcore/agent/openapi.json"),
    ("POST", "/_stcore/agent/mcp"),
    ("PUT", "/_stcore/upload_file/session/file"),
    ("DELETE", "/_stcore/upload_file/session/file"),
    ("GET", STREAM),
    ("GET", "/auth/login"),
    ("GET", "/oauth2callback?code=abc&state=def"),
    ("PUT", "/login"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_stranger_is_refused_in_the_tutorials_form(locked_server: str, method: str, path: str) -> None:
    answer = requests.request(method, locked_server + path, json={"prompt": "hi"}, timeout=30, allow_redirects=False)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json().keys() == {"status", "error", "time"}
    assert answer.json()["status"] == 401
    assert "Authorization: Bearer" in answer.json()["error"]


@pytest.mark.parametrize("header", ["Cookie: baichuan_access=", "Authorization: Bearer ", "X-Anything: "])
def test_a_header_without_end_is_refused(locked_server: str, header: str) -> None:
    with suppress(ConnectionError):  # the server hangs up while the rest still comes
        assert raw_status(locked_server, "GET / HTTP/1.1", header + "x" * 2_000_000) == 400


def test_every_file_of_the_page_is_refused(locked_server: str) -> None:
    page = requests.get(locked_server + "/", headers=as_bearer(VISITOR_CODE), timeout=30).text
    files = re.findall(r'"\./(static/[^"]+)"', page)
    assert len(files) > 3
    for file in files:
        assert requests.get(f"{locked_server}/{file}", timeout=30).status_code == 401
        assert requests.get(f"{locked_server}/{file}", headers=as_bearer(VISITOR_CODE), timeout=30).ok


@pytest.mark.parametrize("path", ["/v1", "/v1/models", "/v1/chat/completions", "/tokenize", "/detokenize"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_stranger_is_refused_in_openais_form(locked_server: str, method: str, path: str) -> None:
    answer = requests.request(method, locked_server + path, timeout=30)

    assert answer.status_code == 401
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, "invalid_api_key")


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "//health",
        "/health/",
        "/health/..",
        "/health/../",
        "/health/../ready",
        "/health/%2e%2e/ready",
        "/%2e/ready",
        "/health%2f..%2fready",
        "/health;/../ready",
        "/health?/../ready#",
        "/HEALTH",
        "/Ready",
        "/login/../ready",
        "/login/ready",
        "/logout/../",
        "/\\health",
        "/health%00",
        "/health%20",
        "http://127.0.0.1/ready",
        "http://127.0.0.1/health",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_no_other_spelling_of_a_path_leads_past_the_lock(locked_server: str, method: str, target: str) -> None:
    status = raw_status(locked_server, f"{method} {target} HTTP/1.1")

    # Neither a query nor a slash too many makes it another path.
    is_health = target.startswith("/health?") or target.strip("/") == "health"
    assert status in ({200, 405} if is_health else {400, 401, 404})


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For: 127.0.0.1", "X-Original-URL: /health", "X-Rewrite-URL: /health", "X-HTTP-Method-Override: GET"],
)
def test_no_header_leads_past_the_lock(locked_server: str, header: str) -> None:
    assert raw_status(locked_server, "GET /ready HTTP/1.1", header) == 401


def test_health_is_there_for_everybody(locked_server: str) -> None:
    assert requests.get(locked_server + "/health", timeout=30).json() == {"status": "ok"}
    assert requests.get(locked_server + "/health", headers=as_bearer("bc-wrong"), timeout=30).ok


def test_a_websocket_is_refused_before_it_is_accepted(locked_server: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(locked_server.replace("http", "ws") + STREAM):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/_stcore/stream/"])
def test_a_websocket_elsewhere_is_refused_too(locked_server: str, path: str) -> None:
    with pytest.raises(InvalidStatus), connect(locked_server.replace("http", "ws") + path):
        pass


def test_a_websocket_opens_for_who_signed_in(locked_server: str) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in sign_in(locked_server, VISITOR_CODE).cookies.items())
    with connect(
        locked_server.replace("http", "ws") + STREAM,
        additional_headers={"Cookie": cookie},
        origin=Origin(locked_server),
        subprotocols=[Subprotocol("streamlit")],
    ) as stream:
        assert stream.subprotocol == "streamlit"


@pytest.mark.parametrize("code", [VISITOR_CODE, OWNER_CODE])
def test_the_code_works_as_an_api_key(locked_server: str, code: str) -> None:
    assert (
        requests.post(locked_server + "/", json=dict(CALL), headers=as_bearer(code), timeout=60).json()["status"] == 200
    )


def test_who_signed_in_may_call_the_api_from_the_browser(locked_server: str) -> None:
    browser = sign_in(locked_server, VISITOR_CODE)
    assert browser.post(locked_server + "/", json=dict(CALL), headers={"Origin": locked_server}, timeout=60).ok


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    ],
    ids=str,
)
def test_another_sites_page_cannot_use_a_readers_cookie(locked_server: str, headers: dict[str, str]) -> None:
    browser = sign_in(locked_server, VISITOR_CODE)

    call = browser.post(locked_server + "/", json={"prompt": "hi"}, headers=headers, timeout=60)
    assert call.status_code == 403
    assert "BAICHUAN_CORS_ORIGINS" in call.json()["error"]
    assert browser.post(locked_server + "/v1/models", headers=headers, timeout=60).status_code == 403
    assert browser.post(locked_server + "/logout", data={"next": ""}, headers=headers, timeout=60).status_code == 403
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with (
        pytest.raises(InvalidStatus),
        connect(locked_server.replace("http", "ws") + STREAM, additional_headers={"Cookie": cookie, **headers}),
    ):
        pass


def test_a_key_needs_no_origin(locked_server: str) -> None:
    headers = {**as_bearer(VISITOR_CODE), "Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert requests.post(locked_server + "/", json=dict(CALL), headers=headers, timeout=60).ok


def test_a_wrong_key_is_refused_even_with_a_good_cookie(locked_server: str) -> None:
    browser = sign_in(locked_server, VISITOR_CODE)
    assert browser.get(locked_server + "/ready", headers=as_bearer("bc-wrong"), timeout=30).status_code == 401


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/login", "/v1/models", "/nothing"])
def test_every_response_tells_browsers_to_be_careful(locked_server: str, path: str) -> None:
    for headers in ({}, as_bearer(OWNER_CODE)):
        answer = requests.get(locked_server + path, headers=headers, timeout=30)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors" in answer.headers["Content-Security-Policy"]
