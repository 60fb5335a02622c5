"""Who comes in as whom, by where the server listens and what a request brings."""

from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from components.access.address import is_loopback
from components.access.caller import Caller
from components.access.cookies import COOKIE, Session
from components.access.door import Door, Refused
from components.settings import Settings

ADDRESS = "192.0.2.9"


def door(folder: Path, *, on_loopback: bool, **values: Any) -> Door:
    return replace(Door.of(Settings.model_validate({"data_dir": folder, **values})), on_loopback=on_loopback)


def request(method: str = "POST", host: str = "127.0.0.1:6006", **headers: str) -> HTTPConnection:
    sent = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return HTTPConnection({"type": "http", "method": method, "path": "/", "headers": raw, "client": (ADDRESS, 1)})


def status(refusing: Door, connection: HTTPConnection) -> HTTPStatus:
    with pytest.raises(Refused) as refused:
        refusing.admit(connection)
    return refused.value.status


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("2130706433", False),
    ],
)
def test_which_addresses_are_this_machine(address: str, loopback: bool) -> None:
    assert is_loopback(address) is loopback


@pytest.mark.parametrize("host", ["127.0.0.1:6006", "localhost", "localhost:8080", "[::1]:6006"])
def test_on_loopback_everybody_is_the_owner(tmp_path: Path, host: str) -> None:
    assert door(tmp_path, on_loopback=True).admit(request(host=host)) == Caller("owner", ADDRESS)


@pytest.mark.parametrize("host", ["example.org", "192.168.1.5:6006", "127.0.0.1.example.org", "", "[", "a@b:c"])
def test_another_name_for_loopback_needs_the_code(tmp_path: Path, host: str) -> None:
    assert status(door(tmp_path, on_loopback=True), request("GET", host)) == 401


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_forwarded_host", "x_real_ip"])
def test_what_a_proxy_passes_on_needs_the_code(tmp_path: Path, header: str) -> None:
    assert status(door(tmp_path, on_loopback=True), request("GET", **{header: "198.51.100.1"})) == 401


def test_elsewhere_everybody_needs_the_code(tmp_path: Path) -> None:
    assert status(door(tmp_path, on_loopback=False), request("GET")) == 401


def test_locked_holds_on_loopback_too(tmp_path: Path) -> None:
    assert status(door(tmp_path, on_loopback=True, access="locked"), request("GET")) == 401


def test_an_open_server_asks_nobody_but_only_the_owners_code_makes_an_owner(tmp_path: Path) -> None:
    public = door(tmp_path, on_loopback=False, access="open", owner_code="the-owners-code")
    assert public.admit(request("GET", "example.org")) == Caller("visitor", ADDRESS)
    signed = public.cookies.sign(Session("owner", "me"))
    assert public.admit(request("GET", "example.org", cookie=f"{COOKIE}={signed}")) == Caller("owner", "me")
    local = door(tmp_path, on_loopback=True, access="open")
    assert local.admit(request("GET", "example.org")).role == "visitor"
    assert local.admit(request("GET")).role == "owner"


def test_a_name_from_an_open_door_opens_no_lock(tmp_path: Path) -> None:
    guest = door(tmp_path, on_loopback=True)
    cookie = f"{COOKIE}={guest.cookies.sign(Session(None, 'somebody'))}"
    assert guest.admit(request("GET", cookie=cookie)) == Caller("owner", "somebody")
    assert status(door(tmp_path, on_loopback=False), request("GET", cookie=cookie)) == 401


@pytest.mark.parametrize("access", ["auto", "open"])
def test_a_wrong_key_is_refused_on_an_open_server_too(tmp_path: Path, access: str) -> None:
    opened = door(tmp_path, on_loopback=True, access=access)
    assert status(opened, request("GET", authorization="Bearer bc-wrong")) == 401
    assert status(opened, request("GET", authorization="Bearer sk-wrong")) == 401


def test_what_stands_for_no_key_is_no_key(tmp_path: Path) -> None:
    assert door(tmp_path, on_loopback=True).admit(request(authorization="Bearer EMPTY")).role == "owner"
    assert status(door(tmp_path, on_loopback=False), request(authorization="Bearer EMPTY")) == 401


def test_a_proxys_own_password_is_none_of_ours(tmp_path: Path) -> None:
    assert door(tmp_path, on_loopback=True).admit(request(authorization="Basic dTpw")).role == "owner"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}],
    ids=str,
)
def test_another_sites_page_cannot_use_an_open_server(tmp_path: Path, headers: dict[str, str]) -> None:
    opened = door(tmp_path, on_loopback=True)
    assert status(opened, request("POST", **headers)) == 403
    assert opened.admit(request("GET", **headers)).role == "owner"


@pytest.mark.parametrize(
    ("origins", "origin", "cookie", "allowed"),
    [
        ("https://a.example", "https://a.example", False, True),
        ("https://a.example", "https://b.example", False, False),
        ("*", "https://b.example", False, True),
        ("https://a.example", "https://a.example", True, True),
        ("*", "https://b.example", True, False),
    ],
)
def test_named_origins_may_and_a_star_lends_nobodys_cookie(
    tmp_path: Path, origins: str, origin: str, cookie: bool, allowed: bool
) -> None:
    guarded = door(tmp_path, on_loopback=not cookie, cors_origins=origins)
    headers = {"origin": origin, "sec_fetch_site": "cross-site"}
    if cookie:
        headers["cookie"] = f"{COOKIE}={guarded.cookies.sign(Session('visitor', 'me'))}"
    if allowed:
        guarded.admit(request("POST", **headers))
    else:
        assert status(guarded, request("POST", **headers)) == 403
