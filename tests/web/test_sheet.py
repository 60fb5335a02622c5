"""A shared sheet: whoever has the address reads it and votes once, and learns what is what after that."""

import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
import requests
from sqlalchemy import insert

from components.chats.replies import Replies
from components.lab.sharing import MOST_VOTES, share_sheet, withdraw_sheet
from components.store.links import new_share_id
from components.store.schema import sheet_votes
from components.store.sheet_shares import votes_for
from components.store.sheets import Cell, Sample, Sheet, Sheets, new_sheet_id

READER = "browser:author"
TEMPERATURES = (0.25, 1.75)
EVIL = "<script>alert(1)</script> **bold**"


def sampling(temperature: float) -> dict[str, float]:
    return {"temperature": temperature, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}


@pytest.fixture
def shared(replies: Replies) -> tuple[str, str]:
    """The ids of a sheet and of a link to it."""
    samples = [[Sample(f"{EVIL} {value}", "stop")] for value in TEMPERATURES]
    return share(replies, samples, end="done")


def share(replies: Replies, samples: Sequence[Sequence[Sample]], **changes: Any) -> tuple[str, str]:
    """Share a sheet with these samples of each cell."""
    cells = [Cell(sampling(value), some) for value, some in zip(TEMPERATURES, samples, strict=True)]
    sheet = Sheet(new_sheet_id(), READER, "compare", "<i>Why?</i>", cells, **changes)
    with replies.database.writing() as connection:
        Sheets(connection, READER).add(sheet)
    return sheet.id, share_sheet(replies.database, READER, sheet.id, "week").id


def votes(replies: Replies, sheet: str) -> int:
    with replies.database.reading() as connection:
        return sum(votes_for(connection, sheet).values())


def replies_in(page: str) -> tuple[str, ...]:
    """The ends of the replies, which say what is what, in the page's order."""
    return tuple(re.findall(r"</strong> (\d\.\d\d)", page))


def ballots_in(page: str) -> list[str]:
    """What the buttons send, in the page's order."""
    return re.findall(r'name="reply" value="([0-9a-f]{16})"', page)


def test_what_is_what_is_hidden_until_the_vote_which_counts_once(
    web: str, replies: Replies, shared: tuple[str, str]
) -> None:
    sheet, link = shared
    browser = requests.Session()
    page = browser.get(f"{web}/s/{link}", timeout=60)
    assert page.status_code == 200
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "same-origin"  # else its form would come from nowhere
    assert '<meta name="referrer" content="same-origin">' in page.text
    assert "&lt;i&gt;Why?&lt;/i&gt;" in page.text
    assert "<script>alert" not in page.text
    assert "<strong>bold</strong>" in page.text
    assert "Temperature" not in page.text
    for secret in (sheet, READER, READER.partition(":")[2]):
        assert secret not in page.text

    ballots = ballots_in(page.text)
    assert len(set(ballots)) == 2
    for ballot in ballots:
        after = browser.post(f"{web}/s/{link}/vote", {"reply": ballot}, timeout=60)
    assert "Temperature 0.25" in after.text
    assert "Temperature 1.75" in after.text
    assert ballots_in(after.text) == []
    assert votes(replies, sheet) == 1


def test_the_order_is_each_voters_own_and_stays(web: str, shared: tuple[str, str]) -> None:
    orders = set()
    for _ in range(12):
        browser = requests.Session()
        first, again = (browser.get(f"{web}/s/{shared[1]}", timeout=60).text for _ in range(2))
        order = replies_in(first)
        assert order == replies_in(again)
        orders.add(order)
    assert orders == {("0.25", "1.75"), ("1.75", "0.25")}


def test_the_vote_is_for_the_reply_that_stood_there(web: str, shared: tuple[str, str]) -> None:
    for _ in range(6):
        browser = requests.Session()
        before = browser.get(f"{web}/s/{shared[1]}", timeout=60).text
        after = browser.post(f"{web}/s/{shared[1]}/vote", {"reply": ballots_in(before)[1]}, timeout=60).text
        mine = next(article for article in after.split("<article")[1:] if "Your vote" in article)
        assert replies_in(mine) == (replies_in(before)[1],)


def test_a_vote_in_one_tab_is_for_what_stood_there_whatever_the_order_of_another(
    web: str, shared: tuple[str, str]
) -> None:
    address = f"{web}/s/{shared[1]}"
    orders: set[bool] = set()
    while len(orders) < 2:
        first = requests.get(address, timeout=60)  # its cookie is overwritten by the second tab's
        browser = requests.Session()
        second = browser.get(address, timeout=60)
        orders.add(replies_in(first.text) == replies_in(second.text))
        after = browser.post(f"{address}/vote", {"reply": ballots_in(first.text)[0]}, timeout=60).text
        mine = next(article for article in after.split("<article")[1:] if "Your vote" in article)
        assert replies_in(mine) == replies_in(first.text)[:1]


def test_what_is_sent_for_a_reply_is_the_same_for_every_voter(web: str, shared: tuple[str, str]) -> None:
    pages = [requests.get(f"{web}/s/{shared[1]}", timeout=60).text for _ in range(6)]
    assert len({tuple(sorted(zip(replies_in(page), ballots_in(page), strict=True))) for page in pages}) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_reply_that_has_no_proper_end_says_so_before_the_vote(web: str, replies: Replies, language: str) -> None:
    samples = [[Sample(f"**whole** {number}", "stop") for number in (1, 2)], [Sample("half", "length"), Sample("most")]]
    said = {"en": "Ended at the longest length of a reply", "zh": "达到最长回答而中断"}[language]
    cut = {"en": "Cut off", "zh": "中途中断"}[language]
    for changed, ends in ((time.time(), [said]), (1000.0, [said, cut])):  # the other is still written, or no more
        _, link = share(replies, samples, changed=changed)
        page = requests.get(f"{web}/s/{link}", headers={"Accept-Language": language}, timeout=60).text
        told = [re.findall('<p class="soft">(.*?)</p>', article) for article in page.split("<article")[1:]]
        assert sorted(told) == [[], [], ends]
        assert "0.25" not in page


@pytest.mark.parametrize(
    ("form", "headers", "cookie", "status"),
    [
        ({"reply": "0"}, {}, False, 403),
        ({"reply": "0"}, {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}, True, 403),
        ({"reply": "0"}, {}, True, 404),
        ({"reply": "x"}, {}, True, 404),
        ({}, {}, True, 404),
        ({"reply": "0" * 3000}, {}, True, 413),
    ],
)
def test_a_vote_that_is_none_does_not_count(
    web: str,
    replies: Replies,
    shared: tuple[str, str],
    form: dict[str, str],
    headers: dict[str, str],
    cookie: bool,
    status: int,
) -> None:
    sheet, link = shared
    browser = requests.Session()
    if cookie:
        browser.get(f"{web}/s/{link}", timeout=60)
    assert browser.post(f"{web}/s/{link}/vote", form, headers=headers, timeout=60).status_code == status
    assert votes(replies, sheet) == 0


@pytest.mark.parametrize(("language", "said"), [("en", "as many votes as they can have"), ("zh", "票数已达上限")])
def test_a_sheet_that_has_all_its_votes_says_so(
    web: str, replies: Replies, shared: tuple[str, str], language: str, said: str
) -> None:
    sheet, link = shared
    with replies.database.writing() as connection:
        votes_there = [{"sheet": sheet, "voter": f"voter{n}", "cell": 0, "created": 1.0} for n in range(MOST_VOTES)]
        connection.execute(insert(sheet_votes), votes_there)
    browser = requests.Session()
    browser.headers["Accept-Language"] = language
    page = browser.get(f"{web}/s/{link}", timeout=60).text
    answer = browser.post(f"{web}/s/{link}/vote", {"reply": ballots_in(page)[0]}, timeout=60)
    assert answer.status_code == 409
    assert said in answer.text
    assert votes(replies, sheet) == MOST_VOTES


def test_a_link_that_was_withdrawn_is_there_for_nobody(web: str, replies: Replies, shared: tuple[str, str]) -> None:
    _, link = shared
    browser = requests.Session()
    browser.get(f"{web}/s/{link}", timeout=60)
    withdraw_sheet(replies.database, READER, link)
    assert browser.get(f"{web}/s/{link}", timeout=60).status_code == 404
    assert browser.post(f"{web}/s/{link}/vote", {"reply": "0"}, timeout=60).status_code == 404


@pytest.mark.parametrize("path", ["/s/short/vote", "/s/{id}/votes", "/s/{id}/vote/"])
def test_nothing_else_is_open_without_a_code(web: str, path: str) -> None:
    answer = requests.post(web + path.format(id=new_share_id()), {"reply": "0"}, timeout=60)
    assert answer.status_code in (401, 403, 404, 405)
    assert "which reply is the best" not in answer.text.lower()
