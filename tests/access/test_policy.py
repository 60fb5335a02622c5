"""Who comes in as whom, by where the server listens and what a request brings."""

from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from components.access.address import is_loopback
from components.access.cookies import Session
from components.access.identity import AccessLevel, Identity
from components.access.policy import AccessPolicy, Refused
from components.settings import Settings

ADDRESS = "192.0.2.9"

PROXY_HEADERS = """
Akamai-Origin-Hop CDN-Loop CF-Connecting-IP CF-Connecting-IPv6 CF-IPCountry CF-RAY CF-Visitor Client-IP
CloudFront-Viewer-Address Cluster-Client-IP Fastly-Client-IP Fastly-SSL Fly-Client-IP Fly-Forwarded-Proto
Forwarded Front-End-Https Max-Forwards Proxy-Client-IP Proxy-Connection Remote-Addr Tailscale-User-Login
True-Client-IP Via WL-Proxy-Client-IP X-Akamai-Edgescape X-Amz-Cf-Id X-Amzn-Trace-Id X-AppEngine-User-IP
X-ARR-LOG-ID X-ARR-SSL X-Azure-ClientIP X-Azure-FDID X-Azure-SocketIP X-Client-IP X-Client-Ip-Address
X-Cloud-Trace-Context X-Cluster-Client-IP X-Envoy-External-Address X-Forwarded X-Forwarded-By X-Forwarded-For
X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Scheme X-Forwarded-Server
X-Forwarded-Ssl X-Host X-NF-Client-Connection-IP X-Original-Forwarded-For X-Original-Host X-Original-URL
X-Originating-IP X-Proto X-ProxyUser-Ip X-Real-IP X-Real-Port X-Remote-Addr X-Remote-IP X-Request-Start
X-Scheme X-Source-IP X-True-Client-IP X-URL-Scheme X-User-IP X-Varnish X-Vercel-Forwarded-For
X-Vercel-Ip-Country
"""
BROWSER_AND_LIBRARY_HEADERS = """
accept accept-encoding accept-language access-control-request-headers authorization cache-control connection
content-length content-type cookie dnt idempotency-key if-modified-since if-none-match keep-alive
openai-organization openai-project origin pragma priority range referer sec-ch-ua sec-ch-ua-platform
sec-fetch-dest sec-fetch-mode sec-gpc sec-websocket-extensions sec-websocket-key sec-websocket-protocol
sec-websocket-version te traceparent tracestate transfer-encoding upgrade upgrade-insecure-requests user-agent
x-api-key x-client-data x-csrf-token x-request-id x-requested-with x-stainless-arch x-stainless-async
x-stainless-lang x-stainless-os x-stainless-package-version x-stainless-raw-response x-stainless-read-timeout
x-stainless-retry-count x-stainless-runtime x-stainless-runtime-version x-streamlit-user x-xsrftoken
"""


def policy(folder: Path, *, on_loopback: bool, **values: Any) -> AccessPolicy:
    return replace(AccessPolicy.of(Settings.model_validate({"data_dir": folder, **values})), on_loopback=on_loopback)


def request(method: str = "POST", host: str = "127.0.0.1:6006", path: str = "/", **headers: str) -> HTTPConnection:
    sent = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return HTTPConnection({"type": "http", "method": method, "path": path, "headers": raw, "client": (ADDRESS, 1)})


def status(refusing: AccessPolicy, connection: HTTPConnection) -> HTTPStatus:
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
def test_on_loopback_everybody_comes_in_without_limits_and_nobody_as_the_owner(tmp_path: Path, host: str) -> None:
    local = policy(tmp_path, on_loopback=True).admit(request(host=host))
    assert local == Identity("local", ADDRESS)
    assert not local.is_limited
    assert not local.is_owner
    assert not local.may_read_metrics


@pytest.mark.parametrize("access", ["auto", "open"])
def test_on_loopback_the_owners_code_makes_the_owner(tmp_path: Path, access: str) -> None:
    local = policy(tmp_path, on_loopback=True, access=access, owner_code="the-owners-code")
    signed = local.cookies.sign(Session("owner", "me"))
    assert local.admit(request("GET", cookie=f"{local.cookies.access}={signed}")) == Identity(
        "owner", "me", reader="browser:me"
    )
    asking = request("GET", path="/metrics", authorization="Bearer the-owners-code")
    assert local.admit(asking) == Identity("owner", ADDRESS)


@pytest.mark.parametrize("host", ["example.org", "192.168.1.5:6006", "127.0.0.1.example.org", "", "[", "a@b:c"])
def test_another_name_for_loopback_needs_the_code(tmp_path: Path, host: str) -> None:
    assert status(policy(tmp_path, on_loopback=True), request("GET", host)) == 401


@pytest.mark.parametrize("header", PROXY_HEADERS.split())
def test_what_a_proxy_passes_on_needs_the_code(tmp_path: Path, header: str) -> None:
    passed_on = request("GET", **{header.lower(): "198.51.100.1"})
    local = policy(tmp_path, on_loopback=True)
    assert status(local, passed_on) == 401
    assert local.recognise(passed_on.headers, {}, ADDRESS) is None


def test_http_1_0_needs_the_code_because_nginx_speaks_it_to_what_is_behind_it(tmp_path: Path) -> None:
    passed_on = request("GET")
    passed_on.scope["http_version"] = "1.0"
    assert status(policy(tmp_path, on_loopback=True), passed_on) == 401


def test_what_browsers_and_libraries_send_is_no_sign_of_a_proxy(tmp_path: Path) -> None:
    own = {
        name: "x" for name in BROWSER_AND_LIBRARY_HEADERS.split() if name not in ("origin", "cookie", "authorization")
    }
    assert policy(tmp_path, on_loopback=True).admit(request("POST", **own)).level == "local"


def test_elsewhere_everybody_needs_the_code(tmp_path: Path) -> None:
    assert status(policy(tmp_path, on_loopback=False), request("GET")) == 401


def test_locked_holds_on_loopback_too(tmp_path: Path) -> None:
    assert status(policy(tmp_path, on_loopback=True, access="locked"), request("GET")) == 401


def test_an_open_server_asks_nobody_but_only_the_owners_code_makes_an_owner(tmp_path: Path) -> None:
    public = policy(tmp_path, on_loopback=False, access="open", owner_code="the-owners-code")
    assert public.admit(request("GET", "example.org")) == Identity("visitor", ADDRESS, ADDRESS)
    signed = public.cookies.sign(Session("owner", "me"))
    assert public.admit(request("GET", "example.org", cookie=f"{public.cookies.access}={signed}")) == Identity(
        "owner", "me", reader="browser:me"
    )
    local = policy(tmp_path, on_loopback=True, access="open")
    assert local.admit(request("GET", "example.org")).level == "visitor"
    assert local.admit(request("GET")).level == "local"


def test_a_name_given_where_no_code_is_needed_is_no_code(tmp_path: Path) -> None:
    guest = policy(tmp_path, on_loopback=True)
    cookie = f"{guest.cookies.access}={guest.cookies.sign(Session(None, 'somebody'))}"
    assert guest.admit(request("GET", cookie=cookie)) == Identity("local", "somebody", reader="browser:somebody")
    assert status(policy(tmp_path, on_loopback=False), request("GET", cookie=cookie)) == 401


KEYS = [
    "EMPTY",
    "",
    "***",
    "DUMMY_KEY",
    "api-key-not-set",
    "inspectai",
    "lm-studio",
    "sk-xxx",
    "bc-withdrawn",
    "visitors-code",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("host", ["127.0.0.1:6006", "example.org"])
def test_where_nobody_needs_a_key_any_key_is_ignored(tmp_path: Path, key: str, host: str) -> None:
    opened = policy(tmp_path, on_loopback=True, access="open", access_code="visitors-code")
    without = opened.admit(request(host=host))
    assert opened.admit(request(host=host, authorization=f"Bearer {key}")) == without


def test_where_nobody_needs_a_key_none_is_a_guess_at_a_code(tmp_path: Path) -> None:
    opened = policy(tmp_path, on_loopback=True, owner_code="the-owners-code")
    for number in range(300):
        opened.admit(request(authorization=f"Bearer sk-{number}"))
    assert opened.level_of_code("the-owners-code", ADDRESS) == "owner"


def test_the_owners_code_cannot_be_guessed_by_key_on_an_open_server(tmp_path: Path) -> None:
    opened = policy(tmp_path, on_loopback=False, access="open", owner_code="the-owners-code")
    assert opened.admit(request(authorization="Bearer the-owners-code")).level == "visitor"
    for number in range(10):
        assert status(opened, request("GET", path="/metrics", authorization=f"Bearer sk-{number}")) == 401
    answers = [status(opened, request("GET", path="/metrics", authorization=f"Bearer {n}")) for n in range(5)]
    assert HTTPStatus.TOO_MANY_REQUESTS in answers


def test_a_named_key_is_known_on_an_open_server_too(tmp_path: Path) -> None:
    opened = policy(tmp_path, on_loopback=True)
    key = opened.keys.add("prometheus")
    assert opened.admit(request(authorization=f"Bearer {key}")) == Identity("key", "prometheus")


@pytest.mark.parametrize("key", KEYS[:-1])
def test_where_a_key_is_needed_none_of_those_is_one(tmp_path: Path, key: str) -> None:
    assert status(policy(tmp_path, on_loopback=False), request(authorization=f"Bearer {key}")) == 401


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("unix-socket", "unix-socket"),
    ],
)
def test_a_visitors_network_is_known_whatever_name_they_have(tmp_path: Path, address: str, network: str) -> None:
    locked = policy(tmp_path, on_loopback=False)
    cookie = f"{locked.cookies.access}={locked.cookies.sign(Session('visitor', 'me'))}"
    assert locked.recognise({}, dict([cookie.split("=", 1)]), address) == Identity(
        "visitor", "me", network, "browser:me"
    )


def test_a_proxys_own_password_is_none_of_ours(tmp_path: Path) -> None:
    assert policy(tmp_path, on_loopback=True).admit(request(authorization="Basic dTpw")).level == "local"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}],
    ids=str,
)
def test_another_sites_page_cannot_use_an_open_server(tmp_path: Path, headers: dict[str, str]) -> None:
    opened = policy(tmp_path, on_loopback=True)
    assert status(opened, request("POST", **headers)) == 403
    assert opened.admit(request("GET", **headers)).level == "local"


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
    guarded = policy(tmp_path, on_loopback=not cookie, cors_origins=origins)
    headers = {"origin": origin, "sec_fetch_site": "cross-site"}
    if cookie:
        headers["cookie"] = f"{guarded.cookies.access}={guarded.cookies.sign(Session('visitor', 'me'))}"
    if allowed:
        guarded.admit(request("POST", **headers))
    else:
        assert status(guarded, request("POST", **headers)) == 403


@pytest.mark.parametrize(
    ("level", "is_owner", "may_read_metrics", "is_limited"),
    [
        ("owner", True, True, False),
        ("local", False, False, False),
        ("visitor", False, False, True),
        ("key", False, True, True),
    ],
)
def test_what_each_level_may_do(level: AccessLevel, is_owner: bool, may_read_metrics: bool, is_limited: bool) -> None:
    identity = Identity(level, "somebody")
    assert (identity.is_owner, identity.may_read_metrics, identity.is_limited) == (
        is_owner,
        may_read_metrics,
        is_limited,
    )


def test_the_page_sees_a_proxy_however_its_header_is_written(tmp_path: Path) -> None:
    local = policy(tmp_path, on_loopback=True)
    assert local.recognise({"host": "localhost"}, {}, ADDRESS) == Identity("local", ADDRESS)
    assert local.recognise({"host": "localhost", "VIA": "1.1 proxy"}, {}, ADDRESS) is None


def test_where_a_code_is_needed_it_works_as_a_key(tmp_path: Path) -> None:
    locked = policy(tmp_path, on_loopback=False, access_code="visitors-code", owner_code="the-owners-code")
    assert locked.admit(request(authorization="Bearer visitors-code")) == Identity("visitor", ADDRESS, ADDRESS)
    assert locked.admit(request(authorization="Bearer the-owners-code")) == Identity("owner", ADDRESS)
