"""Whose conversations somebody sees: nothing that they can write makes them somebody else."""

import hashlib
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.requests import Request

from components.access.cookies import NAME_COOKIE, Cookies, Session
from components.access.identity import browser_reader, user_reader
from components.access.policy import AccessPolicy
from components.settings import Settings

VICTIM = "AbC-123_xyz0"
ADDRESS = "192.0.2.7"
ISSUER = "https://login.example"


@pytest.fixture
def policy(tmp_path: Path) -> AccessPolicy:
    return AccessPolicy.of(Settings.model_validate({"data_dir": tmp_path, "access": "open"}))


def reader_of(policy: AccessPolicy, cookies: dict[str, str], **headers: str) -> str:
    """As whom the middleware and the page, which agree, see a request."""
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    raw = [(b"host", b"chat.example"), (b"cookie", header.encode())]
    raw += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    request = Request(
        {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw, "client": (ADDRESS, 1)}
    )
    admitted = policy.admit(request)
    if "authorization" not in headers:
        assert policy.recognise(request.headers, request.cookies, ADDRESS) == admitted
    return admitted.reader


def forged_cookies(policy: AccessPolicy) -> list[str]:
    """What somebody could send who knows another's name, and everything that this server signed for themselves."""
    mine = policy.cookies.sign_name("mine")
    theirs = policy.cookies.sign_name(VICTIM)
    payload, signed_at, signature = theirs.split(".")
    elsewhere = Cookies(replace(policy.codes, cookie_secret="a guess"))
    guess = URLSafeTimedSerializer("", salt=NAME_COOKIE, signer_kwargs={"digest_method": hashlib.sha256})
    return [
        "",
        VICTIM,
        f"browser:{VICTIM}",
        payload,
        f"{payload}..",
        f"{payload}.{signed_at}.",
        ".".join([payload, *mine.split(".")[1:]]),
        f"{payload}.{signed_at}.{signature[::-1]}",
        f".{theirs}",
        f"{theirs}.{signature}",
        elsewhere.sign_name(VICTIM),
        elsewhere.sign(Session("owner", VICTIM)),
        str(guess.dumps(VICTIM)),
    ]


def test_a_forged_cookie_makes_nobody_anybody(policy: AccessPolicy) -> None:
    assert reader_of(policy, {policy.cookies.reader: policy.cookies.sign_name(VICTIM)}) == browser_reader(VICTIM)
    own = {
        policy.cookies.access: policy.cookies.sign(Session("visitor", "mine")),
        policy.cookies.reader: policy.cookies.sign_name("mine"),
    }
    for forged, cookie in itertools.product(forged_cookies(policy), (policy.cookies.access, policy.cookies.reader)):
        assert reader_of(policy, {cookie: forged}) == "", (cookie, forged)
        assert reader_of(policy, own | {cookie: forged}) == "browser:mine", (cookie, forged)


def test_each_cookie_is_good_for_its_own_purpose_alone(policy: AccessPolicy) -> None:
    session, name = policy.cookies.sign(Session("owner", VICTIM)), policy.cookies.sign_name(VICTIM)
    assert reader_of(policy, {policy.cookies.reader: session}) == ""
    assert reader_of(policy, {policy.cookies.access: name}) == ""
    assert policy.session({policy.cookies.access: name}) is None, (
        "a name, which everybody has, must make nobody the owner"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {VICTIM}"},
        {"x_forwarded_for": VICTIM},
        {"x_forwarded_user": VICTIM},
        {"baichuan_reader": VICTIM},
    ],
)
def test_who_has_no_cookie_is_nobody_whatever_else_they_send(policy: AccessPolicy, headers: dict[str, str]) -> None:
    assert reader_of(policy, {}, **headers) == ""


def test_a_key_has_no_browsers_conversations(policy: AccessPolicy) -> None:
    key = policy.keys.add(VICTIM)
    assert reader_of(policy, {}, authorization=f"Bearer {key}") == ""


SUBJECTS = [
    "",
    "1",
    VICTIM,
    f"browser:{VICTIM}",
    user_reader(ISSUER, "1"),
    f"{ISSUER}:1",
    f'", "{VICTIM}',
    "1\0",
    "\0",
    "\ud800",
    "你好",
    "é",
    "e\u0301",
    "A" * 10_000,
    "a" * 10_000,
]


def test_no_two_people_have_one_key_whatever_a_provider_calls_them() -> None:
    issuers = [ISSUER, f"{ISSUER}/", f"{ISSUER}\0", "", "1", f"{ISSUER}:1", f'{ISSUER}", "']
    pairs = list(itertools.product(issuers, SUBJECTS))
    # What runs together when it is simply put one after the other, with whatever between.
    pairs += [(a + between, b) for between in ("\0", ":", ",", "|", "\n") for a, b in ((ISSUER, "x"), ("", ISSUER))]
    pairs += [(ISSUER, between + "x") for between in ("\0", ":", ",", "|", "\n")]
    keys = {user_reader(issuer, subject) for issuer, subject in pairs}
    assert len(keys) == len(set(pairs))
    assert all(len(key) <= 255 and key.isascii() and key.startswith("user:") for key in keys)


def test_no_person_has_a_browsers_key() -> None:
    browsers = {browser_reader(name) for name in (*SUBJECTS, *(user_reader(ISSUER, subject) for subject in SUBJECTS))}
    assert not browsers & {user_reader(ISSUER, subject) for subject in SUBJECTS}
    assert all(key.startswith("browser:") for key in browsers)
