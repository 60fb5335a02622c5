"""Readers' own conversations as files, and nobody else's."""

from urllib.parse import unquote

import pytest
import requests

from components.web.downloads import file_name
from tests.access.conftest import VISITOR_CODE
from tests.web.conftest import Reader, brought


def get(session: requests.Session, url: str) -> requests.Response:
    return session.get(url, timeout=60)


def test_a_conversation_is_downloaded_as_markdown(web: str, reader: Reader) -> None:
    me = reader()
    chat = brought(me, web, "为什么/why?")

    answer = get(me, f"{web}/conversations/{chat}.md")

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert unquote(answer.headers["content-disposition"]).endswith("filename*=UTF-8''为什么 why.md")
    assert answer.content.decode().startswith("# 为什么/why?\n")
    assert "## User\n\nWhy <b>bold</b>?\n\n## Assistant\n\nBecause.\n" in answer.content.decode()


def test_a_conversation_is_downloaded_as_json_and_so_are_all(web: str, reader: Reader) -> None:
    me, somebody = reader(), reader()
    first, _ = brought(me, web, "one"), brought(me, web, "two")
    brought(somebody, web, "theirs")

    one, everything = get(me, f"{web}/conversations/{first}.json"), get(me, f"{web}/conversations.json")

    assert [chat["title"] for chat in one.json()["conversations"]] == ["one"]
    assert sorted(chat["title"] for chat in everything.json()["conversations"]) == ["one", "two"]
    for answer in (one, everything):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("ending", ["md", "json"])
def test_somebody_elses_and_nobodys_are_the_same_404(web: str, reader: Reader, ending: str) -> None:
    me, somebody, without_cookie = reader(), reader(), requests.Session()
    theirs = brought(somebody, web)
    paths = [f"{theirs}.{ending}", f"{'x' * 22}.{ending}", f"%20.{ending}", f"{'x' * 5000}.{ending}"]

    answers = [get(me, f"{web}/conversations/{path}") for path in paths]
    answers.append(get(without_cookie, f"{web}/conversations/{theirs}.{ending}"))

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


def test_who_is_not_let_in_gets_nothing(locked_web: str, web: str, reader: Reader) -> None:
    chat = brought(reader(), web)

    for path in (f"conversations/{chat}.md", f"conversations/{chat}.json", "conversations.json", "import"):
        assert get(requests.Session(), f"{locked_web}/{path}").status_code == 401
    with_code = requests.Session()
    with_code.post(f"{locked_web}/login", {"code": VISITOR_CODE}, timeout=60)
    assert get(with_code, f"{locked_web}/conversations.json").json()["conversations"] == []


def test_another_method_is_no_way_in(web: str, reader: Reader) -> None:
    me = reader()

    assert me.post(f"{web}/conversations.json", timeout=60).status_code == 404
    assert me.head(f"{web}/conversations.json", timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("", "conversation.md"),
        ("../../etc/passwd", "etc passwd.md"),
        ("a\r\nX-Evil: 1", "a X-Evil 1.md"),
        ("gnp\u202edm", "gnp dm.md"),
        (" . ", "conversation.md"),
        ("长" * 200, "长" * 80 + ".md"),
        ('"; filename=x', "; filename=x.md"),
    ],
)
def test_a_files_name_is_one_that_every_system_takes(title: str, name: str) -> None:
    assert file_name(title, "md") == name
