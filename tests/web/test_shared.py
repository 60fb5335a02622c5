"""What a reader shares can be read by whoever has the address, until it ends; nothing else comes with it."""

import re
import time

import pytest
import requests
from sqlalchemy import update

from components.chats.chat import Chat
from components.chats.replies import Replies
from components.chats.sharing import share, withdraw
from components.store.conversations import Conversations
from components.store.schema import shares
from components.store.shares import Share
from tests.web.conftest import kept_chat

EVIL = (
    '<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](https://example.org/"onx=1) '
    "![pic](https://spy.example/p.png) `</code><script>` **50%**左右 $x<y$ $\\href{javascript:alert(1)}{x}$\n\n"
    "| a | b |\n|--:|:-:|\n| 1 | 2 |\n\n```html\n</pre><script>alert(2)</script>\n```\n"
)


@pytest.fixture(scope="session")
def shared(replies: Replies) -> tuple[Chat, Share]:
    said = [{"role": "user", "content": "<i>Why?</i>"}, {"role": "assistant", "content": EVIL}]
    chat = kept_chat(replies, "A <b>title</b>", said)
    return chat, share(chat, "week")


def get(url: str, language: str = "en") -> requests.Response:
    return requests.get(url, headers={"Accept-Language": language}, timeout=60)


def test_anybody_reads_it_without_an_access_code(web: str, shared: tuple[Chat, Share]) -> None:
    chat, made = shared
    answer = get(f"{web}/s/{made.id}")

    assert answer.status_code == 200
    assert "<h1>A &lt;b&gt;title&lt;/b&gt;</h1>" in answer.text
    assert "&lt;i&gt;Why?&lt;/i&gt;" in answer.text
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert '<meta name="robots" content="noindex, nofollow">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert '<meta name="referrer" content="no-referrer">' in answer.text
    assert "set-cookie" not in answer.headers
    assert re.findall(r'href="([^"]*copy[^"]*)"', answer.text) == [f"../?copy={made.id}"]
    for secret in (chat.conversation.id, chat.asker.reader, chat.asker.reader.partition(":")[2]):
        assert secret not in answer.text


@pytest.mark.parametrize(("language", "word"), [("en", "Question"), ("zh", "问题"), ("fr", "Question")])
def test_it_is_in_the_readers_language(web: str, shared: tuple[Chat, Share], language: str, word: str) -> None:
    assert f"<h2>{word}</h2>" in get(f"{web}/s/{shared[1].id}", language).text


def test_what_a_model_wrote_runs_nothing_and_fetches_nothing(web: str, shared: tuple[Chat, Share]) -> None:
    answer = get(f"{web}/s/{shared[1].id}")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "form-action 'none'" in policy
    assert re.findall(r"[\w-]+ 'unsafe-inline'", policy) == ["style-src-attr 'unsafe-inline'"]
    for forbidden in ("<script", "<img", 'href="javascript', ' onx="', "onerror=alert(1)>", "<form", "style="):
        assert forbidden not in answer.text.replace("http-equiv", ""), forbidden
    assert (
        '<a href="https://spy.example/p.png" rel="nofollow noopener noreferrer ugc">pic (spy.example)</a>'
        in answer.text
    )


def test_what_has_ended_and_what_never_was_are_the_same_404(
    web: str, replies: Replies, shared: tuple[Chat, Share]
) -> None:
    chat, other = shared[0], kept_chat(replies)
    withdrawn, expired, thrown_away = share(chat, "never"), share(chat, "day"), share(other, "never")
    addresses = [f"{web}/s/{one.id}" for one in (withdrawn, expired, thrown_away)]
    assert {get(address).status_code for address in addresses} == {200}

    withdraw(chat, withdrawn.id)
    with replies.database.writing() as connection:
        connection.execute(update(shares).where(shares.c.id == expired.id).values(expires=time.time() - 1))
        Conversations(connection, other.asker.reader).delete(other.conversation.id)

    answers = [get(address) for address in [*addresses, f"{web}/s/{'x' * 22}"]]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/s/",
        "/s/short",
        "/s/{id}/copy",
        "/s/{id}x",
        "/s/{id}%0a",
        "/?copy={id}",
    ],
)
def test_only_that_very_address_needs_no_code(web: str, shared: tuple[Chat, Share], path: str) -> None:
    assert get(web + path.format(id=shared[1].id)).status_code == 401


@pytest.mark.parametrize("path", ["/s/{id}/", "//s/{id}"])
def test_a_slash_too_many_leads_there_all_the_same(web: str, shared: tuple[Chat, Share], path: str) -> None:
    assert get(web + path.format(id=shared[1].id)).text == get(f"{web}/s/{shared[1].id}").text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_done_to_it_at_its_address(web: str, shared: tuple[Chat, Share], method: str) -> None:
    assert requests.request(method, f"{web}/s/{shared[1].id}", timeout=60).status_code in (401, 405)


def test_it_stays_as_it_was_when_the_conversation_goes_on(web: str, replies: Replies) -> None:
    many = [{"role": role, "content": f"{role} {turn}"} for turn in range(40) for role in ("user", "assistant")]
    chat = kept_chat(replies, "long", many)

    made = share(chat, "never")
    chat.select(chat.shown[0].id)

    text = get(f"{web}/s/{made.id}").text
    assert "user 0<" in text
    assert "assistant 39<" in text


def test_search_engines_are_told_to_leave_it_alone(web: str) -> None:
    answer = get(f"{web}/robots.txt")

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "User-agent: *\nDisallow: /s/\n"
