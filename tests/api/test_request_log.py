"""Every request can be found again in the log, and what was said stays out of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import requests
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from components.api.request_log import RequestLog, request_id_of
from tests.api.scripted_server import serving_engine, wait_for
from tests.conftest import Clock
from tests.scripted_engine import ScriptedEngine
from tests.server import running_server
from tests.tiny import CHATS, TINY_PATH

CALL: dict[str, Any] = {"prompt": "你是谁", "temperature": 0, "repetition_penalty": 1.0, "max_new_tokens": 24}


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "logs" / "requests.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def check_one_call(server: str, folder: Path) -> dict[str, Any]:
    """Call once as it is meant and once not; the line of the reply."""
    answer = requests.post(server, json=CALL, headers={"X-Request-ID": "mine-1"}, timeout=60)
    refused = requests.post(server, json={}, headers={"X-Request-ID": "not\tacceptable"}, timeout=60)
    number = refused.headers["X-Request-ID"]
    assert wait_for(lambda: any(line["request_id"] == number for line in lines(folder)))  # it comes after the answer

    found = lines(folder)
    (http,) = [line for line in found if line["kind"] == "http" and line["request_id"] == "mine-1"]
    (reply,) = [line for line in found if line["kind"] == "reply" and line["request_id"] == "mine-1"]
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert (http["method"], http["path"], http["status"], http["client"]) == ("POST", "/", 200, "127.0.0.1")
    assert (reply["origin"], reply["outcome"]) == ("tutorial", "length")
    assert (reply["prompt_tokens"], reply["completion_tokens"]) == (3, 24)
    assert 0 < reply["seconds"] <= http["seconds"]
    assert len(number) == 32
    assert next(line["status"] for line in found if line["request_id"] == number) == 400
    return reply


def all_logs(folder: Path) -> str:
    return (folder / "logs" / "requests.jsonl").read_text(encoding="utf-8") + (folder / "log.txt").read_text()


def test_a_request_leaves_one_line_and_its_reply_another(server: str, server_folder: Path) -> None:
    reply = check_one_call(server, server_folder)

    assert "asked" not in reply
    assert "answered" not in reply
    assert CALL["prompt"] not in all_logs(server_folder)
    assert CHATS[0]["greedy_text"] not in all_logs(server_folder)


def test_what_was_said_is_logged_where_the_owner_wants_that(tmp_path: Path) -> None:
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DATA_DIR": str(tmp_path), "BAICHUAN_DTYPE": "float32"}
    with running_server(tmp_path / "log.txt", env | {"BAICHUAN_LOG_PROMPTS": "true"}) as server:
        reply = check_one_call(server, tmp_path)

    assert CALL["prompt"] in json.dumps(reply["asked"], ensure_ascii=False)
    assert reply["answered"] == CHATS[0]["greedy_text"]


def test_a_reply_carries_the_number_and_the_owner_of_its_request(
    monkeypatch: pytest.MonkeyPatch, request_lines: list[dict[str, Any]]
) -> None:
    engine = ScriptedEngine()
    call = {"messages": [{"role": "user", "content": "hi"}]}
    with serving_engine(engine, monkeypatch) as address:
        url = f"{address}/v1/chat/completions"
        assert requests.post(url, json=call, headers={"X-Request-ID": "mine-2"}, timeout=60).ok
        assert wait_for(lambda: len(request_lines) == 2)  # the call's own comes once its answer is out

    reply, http = request_lines
    assert (reply["kind"], reply["request_id"], reply["origin"], reply["visitor"]) == (
        "reply",
        "mine-2",
        "v1",
        "owner:test",
    )
    assert (http["kind"], http["request_id"], http["client"]) == ("http", "mine-2", "127.0.0.1")


@pytest.fixture
def client(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody who calls an application whose answers take two seconds each."""

    async def answer(request: Request) -> PlainTextResponse:
        clock.now += 2.0004
        return PlainTextResponse(request_id_of(request.scope), int(request.query_params.get("status", "200")))

    async def fail(request: Request) -> PlainTextResponse:
        clock.now += 1
        raise ValueError("a fault")

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    monkeypatch.setattr("components.api.request_log.time", SimpleNamespace(monotonic=clock))
    app = Router(
        [
            Route("/fault", fail, methods=["GET"]),
            WebSocketRoute("/_stcore/stream", echo),
            Route("/{path:path}", answer, methods=["GET", "HEAD", "POST", "DELETE"]),
        ]
    )
    with TestClient(RequestLog(app), client=("203.0.113.7", 50_000), raise_server_exceptions=False) as client:
        yield client


def test_a_line_says_who_asked_for_what_and_how_it_went(
    client: TestClient, request_lines: list[dict[str, Any]]
) -> None:
    client.delete("/v1/models/一?status=404&secret=1", headers={"X-Request-ID": "mine-3"})

    (line,) = request_lines
    assert line.pop("time")
    assert line == {
        "kind": "http",
        "request_id": "mine-3",
        "method": "DELETE",
        "path": "/v1/models/一",
        "status": 404,
        "seconds": 2.0,
        "client": "203.0.113.7",
    }


def test_a_crash_leaves_a_line_too(client: TestClient, request_lines: list[dict[str, Any]]) -> None:
    client.get("/fault")

    (line,) = request_lines
    assert (line["path"], line["status"], line["seconds"]) == ("/fault", 500, 1.0)


def test_who_connects_through_a_socket_without_an_address_is_logged_too(request_lines: list[dict[str, Any]]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        pass

    async def call() -> None:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/ready", "headers": [], "client": None}
        await RequestLog(PlainTextResponse("ok"))(scope, receive, send)

    anyio.run(call)
    assert [line["client"] for line in request_lines] == [""]


@pytest.mark.parametrize("asked", ["a", "mine-1", "a.b:c_d-e", "0" * 64, "ABC"])
def test_a_callers_number_is_taken_and_goes_everywhere(
    client: TestClient, request_lines: list[dict[str, Any]], asked: str
) -> None:
    answer = client.get("/ready", headers={"X-Request-ID": asked})

    assert answer.headers["X-Request-ID"] == answer.text == asked
    assert [line["request_id"] for line in request_lines] == [asked]


@pytest.mark.parametrize("asked", [None, b"", b"0" * 65, b"a b", b"a\tb", b"a/b", b'a"', b"\xea", b"a;", b"a, b"])
def test_any_other_number_is_replaced(
    client: TestClient, request_lines: list[dict[str, Any]], asked: bytes | None
) -> None:
    headers = {} if asked is None else {b"X-Request-ID": asked}
    answers = [client.get("/ready", headers=headers) for _ in range(2)]

    numbers = [answer.headers["X-Request-ID"] for answer in answers]
    assert all(len(number) == 32 and number.isalnum() for number in numbers)
    assert len(set(numbers)) == 2
    assert [line["request_id"] for line in request_lines] == [answer.text for answer in answers] == numbers


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("GET", "/ready"), ("GET", "/v1/static/js"), ("GET", "/statics"), ("DELETE", "/")],
)
def test_calls_of_the_apis_leave_a_line(
    client: TestClient, request_lines: list[dict[str, Any]], method: str, path: str
) -> None:
    client.request(method, path)

    assert [(line["method"], line["path"]) for line in request_lines] == [(method, path)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/_stcore/health"),
        ("GET", "/static/js/index.js"),
        ("GET", "/media/1.png"),
        ("GET", "/component/x/index.html"),
        ("GET", "/favicon.png"),
    ],
)
def test_the_pages_own_traffic_leaves_none_but_has_numbers(
    client: TestClient, request_lines: list[dict[str, Any]], method: str, path: str
) -> None:
    answer = client.request(method, path)

    assert len(answer.headers["X-Request-ID"]) == 32
    assert request_lines == []


def test_a_websocket_leaves_none(client: TestClient, request_lines: list[dict[str, Any]]) -> None:
    with client.websocket_connect("/_stcore/stream"):
        pass

    assert request_lines == []
