"""What a reader shares can be read by whoever has the address, until it ends; nothing else comes with it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from sqlalchemy import update

from components.chats.chat import Asker, Chat
from components.chats.replies import Replies
from components.chats.sharing import Expiry, share, withdraw
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.schema import shares
from components.store.shares import Share
from components.web.rendering import to_html
from tests.access.conftest import VISITOR_CODE
from tests.web.conftest import Reader, brought

Open = Callable[[requests.Session, str], Chat]

EVIL = (
    '<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](https://example.org/"onx=1) '
    "![pic](https://spy.example/p.png) `</code><script>` **50%**左右 $x<y$\n\n| a | b |\n|--:|:-:|\n| 1 | 2 |\n\n"
    "```html\n</pre><script>alert(2)</script>\n```\n"
)


@pytest.fixture(scope="module")
def replies(folder: Path, web: str) -> Iterator[Replies]:
    replies = Replies(Database(f"sqlite:///{folder / 'chats.db'}"))
    yield replies
    replies.keeper.close()
    replies.database.close()


@pytest.fixture
def open_chat(web: str, replies: Replies) -> Open:
    def open_one(session: requests.Session, conversation: str) -> Chat:
        name = session.get(f"{web}/test/caller", timeout=60).json()["name"]
        return Chat.open(Asker(f"browser:{name}"), replies, conversation)

    return open_one


@pytest.fixture
def shared(web: str, reader: Reader, open_chat: Open) -> tuple[Chat, Share]:
    me = reader()
    said = [{"role": "user", "content": "<i>Why?</i>"}, {"role": "assistant", "content": EVIL}]
    chat = open_chat(me, brought(me, web, "A <b>title</b>", said))
    return chat, share(chat, "week")


def get(url: str, language: str = "en", session: requests.Session | None = None) -> requests.Response:
    return (session or requests.Session()).get(url, headers={"Accept-Language": language}, timeout=60)


def test_anybody_reads_it_without_an_access_code(locked_web: str, shared: tuple[Chat, Share]) -> None:
    chat, made = shared
    answer = get(f"{locked_web}/s/{made.id}")

    assert answer.status_code == 200
    assert "<h1>A &lt;b&gt;title&lt;/b&gt;</h1>" in answer.text
    assert "&lt;i&gt;Why?&lt;/i&gt;" in answer.text
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert '<meta name="robots" content="noindex, nofollow">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    assert "<form" not in answer.text
    for secret in (chat.conversation.id, chat.asker.reader, chat.asker.reader.partition(":")[2]):
        assert secret not in answer.text


@pytest.mark.parametrize(("language", "word"), [("en", "Question"), ("zh", "问题"), ("fr", "Question")])
def test_it_is_in_the_readers_language(web: str, shared: tuple[Chat, Share], language: str, word: str) -> None:
    assert f"<h2>{word}</h2>" in get(f"{web}/s/{shared[1].id}", language).text


def test_what_a_model_wrote_runs_nothing_and_fetches_nothing(web: str, shared: tuple[Chat, Share]) -> None:
    answer = get(f"{web}/s/{shared[1].id}")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    for forbidden in ("<script", "<img", 'href="javascript', "style=", ' onx="', "onerror=alert(1)>"):
        assert forbidden not in answer.text
    assert "<strong>50%</strong>左右" in answer.text
    assert "<code>x&lt;y</code>" in answer.text
    assert '<td class="right">1</td>' in answer.text
    assert '<a href="https://spy.example/p.png" rel="nofollow noopener noreferrer ugc">pic</a>' in answer.text


def test_a_reply_nested_without_end_is_shown_all_the_same() -> None:
    assert "end" in to_html("> " * 3000 + "deep\n\nend")
    assert to_html("[" * 5000 + "*" * 5000)


def test_what_has_ended_and_what_never_was_are_the_same_404(
    locked_web: str, reader: Reader, web: str, open_chat: Open, shared: tuple[Chat, Share]
) -> None:
    chat, withdrawn = shared
    expired = share(chat, "day")
    me = reader()
    other = open_chat(me, brought(me, web))
    thrown_away = share(other, "never")
    addresses = [f"{locked_web}/s/{one}" for one in (withdrawn.id, expired.id, thrown_away.id)]
    assert {get(address).status_code for address in addresses} == {200}

    withdraw(chat, withdrawn.id)
    with chat.replies.database.writing() as connection:
        connection.execute(update(shares).where(shares.c.id == expired.id).values(expires=time.time() - 1))
        Conversations(connection, other.asker.reader).delete(other.conversation.id)

    answers = [get(address) for address in [*addresses, f"{locked_web}/s/{'x' * 22}"]]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize("path", ["/s/", "/s/short", "/s/{id}/", "/s/{id}/copy", "/s/{id}x", "//s/{id}", "/s/{id}%0a"])
def test_only_that_very_address_needs_no_code(locked_web: str, shared: tuple[Chat, Share], path: str) -> None:
    assert get(locked_web + path.format(id=shared[1].id)).status_code == 401


def test_it_stays_as_it_was_when_the_conversation_goes_on(web: str, reader: Reader, open_chat: Open) -> None:
    many = [{"role": role, "content": f"{role} {turn}"} for turn in range(40) for role in ("user", "assistant")]
    me = reader()
    chat = open_chat(me, brought(me, web, "long", many))

    made = share(chat, "never")
    chat.select(chat.shown[0].id)

    text = get(f"{web}/s/{made.id}").text
    assert "user 0<" in text
    assert "assistant 39<" in text


@pytest.mark.parametrize(("expiry", "days"), [("day", 1), ("week", 7), ("never", None)])
def test_how_long_it_can_be_read_is_chosen(shared: tuple[Chat, Share], expiry: Expiry, days: int | None) -> None:
    made = share(shared[0], expiry)

    assert (made.expires is None) == (days is None)
    if made.expires is not None and days is not None:
        assert abs(made.expires - made.created - days * 86_400) < 60


def test_a_copy_of_it_is_the_readers_own(locked_web: str, shared: tuple[Chat, Share]) -> None:
    somebody = requests.Session()
    somebody.post(f"{locked_web}/login", {"code": VISITOR_CODE}, timeout=60)
    address = f"{locked_web}/s/{shared[1].id}"
    assert f'action="{shared[1].id}/copy"' in get(address, session=somebody).text

    answer = somebody.post(f"{address}/copy", allow_redirects=False, timeout=60)

    assert answer.status_code == 303
    copied = answer.headers["location"].removeprefix("../../?c=")
    file = somebody.get(f"{locked_web}/conversations/{copied}.json", timeout=60).json()["conversations"][0]
    assert file["title"] == "A <b>title</b>"
    assert [message["text"] for message in file["messages"]] == ["<i>Why?</i>", EVIL]


def test_a_copy_is_made_for_nobody_else(locked_web: str, web: str, reader: Reader, shared: tuple[Chat, Share]) -> None:
    path = f"/s/{shared[1].id}/copy"
    forged = {"Sec-Fetch-Site": "cross-site"}

    assert requests.post(locked_web + path, timeout=60).status_code == 401
    assert reader().post(web + path, headers=forged, timeout=60).status_code == 403
    assert requests.post(web + path, timeout=60).status_code == 400
    assert reader().post(f"{web}/s/{'x' * 22}/copy", timeout=60).status_code == 404


def test_nobody_shares_or_withdraws_what_is_somebody_elses(
    web: str, reader: Reader, open_chat: Open, shared: tuple[Chat, Share]
) -> None:
    chat, made = shared
    stranger = replace(chat, asker=Asker("browser:stranger"))

    with pytest.raises(NotFoundError):
        share(stranger, "never")
    with pytest.raises(NotFoundError):
        withdraw(stranger, made.id)
    assert get(f"{web}/s/{made.id}").status_code == 200
