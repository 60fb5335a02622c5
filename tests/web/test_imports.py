"""Files of conversations come in over a form: bounded, from this page alone, and with an answer in words."""

import json

import pytest
import requests

from tests.web.conftest import SAID, Reader, bring_in, brought


@pytest.mark.parametrize(("language", "says"), [("en-US", "Bring in conversations"), ("zh-CN,en;q=0.5", "导入对话")])
def test_the_form_is_in_the_readers_language(web: str, language: str, says: str) -> None:
    answer = requests.get(f"{web}/import", headers={"Accept-Language": language}, timeout=60)

    assert f"<h1>{says}</h1>" in answer.text
    assert "script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_was_downloaded_comes_back(web: str, reader: Reader) -> None:
    me, somebody = reader(), reader()
    brought(me, web, "first")
    file = me.get(f"{web}/conversations.json", timeout=60).content

    answer = bring_in(somebody, web, file)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("./?c=")
    back = somebody.get(f"{web}/conversations.json", timeout=60).json()["conversations"]
    assert [chat["title"] for chat in back] == ["first"]
    assert [message["text"] for message in back[0]["messages"]] == [message["content"] for message in SAID]


def test_a_wrong_file_is_refused_in_words_and_nothing_is_kept(web: str, reader: Reader) -> None:
    me = reader()
    lines = [{"messages": SAID}, {"messages": [{"role": "<dog>", "content": "woof"}]}]

    answer = bring_in(me, web, json.dumps(lines).encode())

    assert answer.status_code == 400
    assert "[1].messages[0].role must be one of" in answer.text
    assert me.get(f"{web}/conversations.json", timeout=60).json()["conversations"] == []


@pytest.mark.parametrize("size", [100_001, 3_000_000])
def test_a_file_that_is_too_large_is_refused(web: str, reader: Reader, size: int) -> None:
    answer = bring_in(reader(), web, b" " * size)

    assert answer.status_code == 413
    assert "too large" in answer.text


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": {"file": "x"}},
        {"files": {"other": ("a.json", b"[]")}},
        {"files": {"file": ("a.json", b"")}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"data": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"files": [("file", ("a", b"[]"))] * 3},
    ],
)
def test_a_form_without_a_file_is_refused(web: str, reader: Reader, sent: dict[str, object]) -> None:
    answer = reader().post(f"{web}/import", allow_redirects=False, timeout=60, **sent)  # type: ignore[arg-type]

    assert answer.status_code == 400
    assert "There is no file" in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "https://example.org"}],
    ids=str,
)
def test_another_sites_page_brings_nothing_in(web: str, reader: Reader, headers: dict[str, str]) -> None:
    me = reader()

    answer = bring_in(me, web, json.dumps({"messages": SAID}).encode(), **headers)

    assert answer.status_code == 403
    assert me.get(f"{web}/conversations.json", timeout=60).json()["conversations"] == []


def test_a_browser_that_is_not_known_is_told_so(web: str) -> None:
    answer = bring_in(requests.Session(), web, json.dumps({"messages": SAID}).encode())

    assert answer.status_code == 400
    assert "not known yet" in answer.text
