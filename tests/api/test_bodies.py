"""A body is read however a client wrote it, or the client is told what is wrong with it."""

import codecs
import gzip
import json
import socket
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.api.scripted_server import wait_for

PATHS = ["/", "/v1/chat/completions", "/v1/completions", "/tokenize"]
QUESTION = {
    "/": {"prompt": "你好", "max_new_tokens": 2},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "你好"}], "max_tokens": 2},
    "/v1/completions": {"prompt": "你好", "max_tokens": 2},
    "/tokenize": {"prompt": "你好"},
}


def text(path: str) -> str:
    return json.dumps(QUESTION[path], ensure_ascii=False)


def send(server: str, path: str, body: bytes, **headers: str) -> requests.Response:
    return requests.post(server + path, data=body, headers=headers, timeout=60)


def message(answer: requests.Response) -> str:
    error: Any = answer.json()["error"]
    return str(error if isinstance(error, str) else error["message"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_every_encoding_of_unicode_is_read(server: str, path: str, encoding: str) -> None:
    assert send(server, path, text(path).encode(encoding)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_packed_body_is_read(server: str, path: str) -> None:
    body = text(path).encode("utf-8-sig")

    assert send(server, path, gzip.compress(body, mtime=0), **{"Content-Encoding": "gzip"}).status_code == 200
    assert send(server, path, zlib.compress(body), **{"Content-Encoding": "deflate"}).status_code == 200
    assert send(server, path, body, **{"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_a_body_packed_in_several_pieces_is_read(server: str, path: str, cut: int) -> None:
    body = text(path).encode()
    packed = gzip.compress(body[:cut], mtime=0) + gzip.compress(body[cut:], mtime=0) + bytes(7)

    assert send(server, path, packed, **{"Content-Encoding": "gzip"}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("level", [0, 1, 9])
def test_deflate_without_a_header_is_read(server: str, path: str, level: int) -> None:
    packer = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    body = packer.compress(text(path).encode()) + packer.flush()

    assert send(server, path, body, **{"Content-Encoding": "deflate"}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "\\ud83d"}',
        b'{"prompt": "\\ude00 a"}',
        b'{"prompt": "\\ud83d\\ud83d"}',
        '{"prompt": "\ud83d"}'.encode("utf-8", "surrogatepass"),
        '{"prompt": "\ud83d"}'.encode("utf-16-le", "surrogatepass"),
    ],
    ids=repr,
)
def test_half_a_character_is_called_so(server: str, path: str, body: bytes) -> None:
    answer = send(server, path, body)

    assert answer.status_code == 400
    assert "half a character" in message(answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_leaves_while_it_sends_is_no_crash(server: str, server_folder: Path, path: str) -> None:
    address, number = urlsplit(server), f"left{len(path)}"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {number}\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"{head}{{".encode())
    assert send(server, path, text(path).encode()).status_code == 200
    assert wait_for(lambda: number in (server_folder / "logs" / "requests.jsonl").read_text())

    said = (server_folder / "log.txt").read_text()
    assert "ClientDisconnect" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("path", PATHS)
def test_gbk_is_called_so(server: str, path: str) -> None:
    answer = send(server, path, text(path).encode("gbk"))

    assert answer.status_code == 400
    assert message(answer).startswith("The body is not UTF-8 (byte ")
    assert message(answer).count("The body") == 1
    assert "GBK" in message(answer)
    assert "UTF-8" in message(answer)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        (b'{"prompt": "\xff"}', {}, "not UTF-8 (byte 13)"),
        (codecs.BOM_UTF16_LE + b"{", {}, "UTF-16"),
        (b"not packed", {"Content-Encoding": "gzip"}, "Content-Encoding"),
        (gzip.compress(b"{}", mtime=0)[:-9], {"Content-Encoding": "gzip"}, "ends in the middle"),
        (b"{}", {"Content-Encoding": "br"}, "br is not read here"),
        (gzip.compress(b"{}", mtime=0) * 65, {"Content-Encoding": "gzip"}, "more than 64 pieces"),
        (b'{"prompt": "\\u12"}', {}, "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    server: str, path: str, body: bytes, headers: dict[str, str], told: str
) -> None:
    answer = send(server, path, body, **headers)

    assert answer.status_code == 400
    assert told in message(answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_unpacks_to_too_much_is_too_large(server: str, path: str) -> None:
    answer = send(server, path, gzip.compress(b" " * 50_000_000, mtime=0), **{"Content-Encoding": "gzip"})

    assert answer.status_code == 413
    assert "larger than 524288 bytes" in message(answer)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_whose_body_is_too_large_sees_the_answer_and_no_broken_connection(server: str, path: str) -> None:
    with requests.Session() as session:
        answer = session.post(server + path, data=b"[" * 6_000_000, timeout=60)
        assert answer.status_code == 413
        assert "larger than 524288 bytes" in message(answer)
        assert session.post(server + path, data=text(path).encode(), timeout=60).status_code == 200
