"""Visitors have limits and see no figures; the owner has none and does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.server import running_server
from tests.tiny import TINY_PATH

CALL: dict[str, Any] = {"prompt": "你是谁", "max_new_tokens": 4}
VISITOR, OWNER = {"Authorization": "Bearer visitors-code"}, {"Authorization": "Bearer the-owners-code"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("locked")
    env = {
        "BAICHUAN_MODEL": str(TINY_PATH),
        "BAICHUAN_ACCESS": "locked",
        "BAICHUAN_ACCESS_CODE": "visitors-code",
        "BAICHUAN_OWNER_CODE": "the-owners-code",
        "BAICHUAN_REQUESTS_PER_MINUTE": "2",
    }
    with running_server(folder / "log.txt", env, wait_for="/health") as address:
        while requests.get(address + "/ready", headers=OWNER, timeout=30).status_code != 200:
            pass
        yield address


def test_a_visitors_third_request_in_a_minute_is_told_when_to_come_back(locked: str) -> None:
    answers = [requests.post(locked, json=CALL, headers=VISITOR, timeout=60) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "2 requests within a minute" in answers[2].json()["error"]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60


def test_signing_in_again_gives_no_new_share(locked: str) -> None:
    def statuses(address: str) -> list[int]:
        browser = requests.Session()
        browser.headers["X-Forwarded-For"] = address
        browser.post(locked + "/login", data={"code": "visitors-code"}, timeout=30)
        return [browser.post(locked, json=CALL, timeout=60).status_code for _ in range(3)]

    answers = [statuses("203.0.113.50") for _ in range(4)]
    assert answers == [[200, 200, 429], [200, 200, 429], [429, 429, 429], [429, 429, 429]]
    assert statuses("203.0.113.51") == [200, 200, 429]


def test_the_owner_has_no_limits(locked: str) -> None:
    answers = [requests.post(locked, json=CALL, headers=OWNER, timeout=60) for _ in range(4)]

    assert {answer.status_code for answer in answers} == {200}


def test_metrics_are_not_for_visitors(locked: str) -> None:
    assert requests.get(locked + "/metrics", headers=VISITOR, timeout=30).status_code == 403
    assert requests.get(locked + "/metrics", headers=OWNER, timeout=30).status_code == 200
