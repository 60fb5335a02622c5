"""A body is read however a client wrote it, or the client is told what is wrong with it."""

import codecs
import gzip
import json
import zlib
from typing import Any

import pytest
import requests

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
def test_gbk_is_called_so(server: str, path: str) -> None:
    answer = send(server, path, text(path).encode("gbk"))

    assert answer.status_code == 400
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
