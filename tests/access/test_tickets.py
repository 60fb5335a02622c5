"""Tickets in download links: whose conversations a request may read."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from components.access import tickets
from components.access.policy import AccessPolicy
from components.settings import Settings

READERS = ("browser:abc", "user:https%3A%2F%2Fa.example:me", "user:你好", "session:x.y.z", "a" * 255, "")


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccessPolicy:
    policy = AccessPolicy.of(Settings.model_validate({"data_dir": tmp_path}))
    monkeypatch.setattr(tickets, "get_access_policy", lambda: policy)
    return policy


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.usefixtures("policy")
def test_a_ticket_says_whose_it_is_in_letters_that_an_address_may_hold(reader: str) -> None:
    ticket = tickets.issue(reader)
    assert tickets.read(ticket) == reader
    assert set(ticket) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@pytest.mark.usefixtures("policy")
def test_a_ticket_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = tickets.issue("browser:abc")
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + tickets.MAX_AGE_SECONDS + 2)
    assert tickets.read(ticket) is None


def test_what_nobody_issued_here_is_worth_nothing(policy: AccessPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, others = tickets.issue("browser:mine"), tickets.issue("browser:another's")
    mixed = ".".join([others.split(".")[0], *mine.split(".")[1:]])
    name = policy.cookies.sign_name("another's")
    for forged in ("", "browser:another's", "...", "你好", "\0", mine[:-2], f"{mine}A", mixed, name):
        assert tickets.read(forged) is None, forged

    elsewhere = replace(policy, codes=replace(policy.codes, cookie_secret="another server's"))
    monkeypatch.setattr(tickets, "get_access_policy", lambda: elsewhere)
    assert tickets.read(mine) is None


def test_a_ticket_names_no_browser(policy: AccessPolicy) -> None:
    assert policy.cookies.read_name(tickets.issue("another's")) is None
    assert policy.cookies.read(tickets.issue("another's")) is None
