"""Signing in and out, as a browser without JavaScript does it."""

from html import unescape
from re import search

import pytest
import requests

from components.access.cookies import COOKIE, NAME_COOKIE
from tests.access.conftest import OWNER_CODE, VISITOR_CODE

HTML = {"Accept": "text/html,*/*;q=0.8"}


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers={**HTML, **headers}, allow_redirects=False, timeout=30)


def post_code(server: str, code: str, target: str = "", **headers: str) -> requests.Response:
    return requests.post(
        server + "/login", data={"code": code, "next": target}, headers=headers, allow_redirects=False, timeout=30
    )


def cookie_of(answer: requests.Session | requests.Response) -> tuple[str, str]:
    """Name and value of the cookie that says what a browser may do; empty ones when there is none."""
    found = [(one.name, one.value or "") for one in answer.cookies if one.name.startswith(COOKIE)]
    return found[0] if found else ("", "")


def test_a_browser_gets_the_form_instead_of_the_page(locked_server: str) -> None:
    answer = get(locked_server + "/?temperature=1&lang=en")

    assert answer.status_code == 401
    assert answer.headers["Cache-Control"] == "no-store"
    assert 'action="login"' in answer.text
    next_field = search('name="next" value="([^"]*)"', answer.text)
    assert next_field
    assert unescape(next_field[1]) == "?temperature=1&lang=en"


def test_the_form_comes_in_the_readers_language(locked_server: str) -> None:
    assert "访问码" in get(locked_server + "/", **{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}).text
    assert "Access code" in get(locked_server + "/", **{"Accept-Language": "de,en;q=0.8,zh;q=0.2"}).text
    assert "Access code" in get(locked_server + "/", **{"Accept-Language": "fr"}).text
    assert "访问码" in get(locked_server + "/?lang=zh", **{"Accept-Language": "en"}).text
    assert "Access code" in get(locked_server + "/?lang=en", **{"Accept-Language": "zh"}).text


def test_the_form_loads_nothing(locked_server: str) -> None:
    page = get(locked_server + "/").text
    assert "http" not in page
    assert "<script" not in page
    assert "src=" not in page


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(locked_server: str) -> None:
    answer = post_code(locked_server, VISITOR_CODE)

    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age=2592000" in cookie
    assert "Secure" not in cookie


def test_over_tls_the_cookie_is_for_tls_alone(locked_server: str) -> None:
    answer = post_code(locked_server, VISITOR_CODE, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_page_gives_each_browser_a_name_of_its_own(locked_server: str, scheme: str) -> None:
    names = set()
    for _ in range(2):
        signed_in = "=".join(cookie_of(post_code(locked_server, VISITOR_CODE)))
        page = get(locked_server + "/", **{"X-Forwarded-Proto": scheme, "Cookie": signed_in})
        assert page.ok
        given = page.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=34560000"} <= set(given.split("; "))
        assert ("Secure" in given) is (scheme == "https")
        assert page.headers["Cache-Control"] == "private, no-cache"
        names.add(given.partition(";")[0])
    assert len(names) == 2
    assert all(name.startswith(f"{NAME_COOKIE}_") for name in names)


def test_a_code_may_be_typed_with_spaces_around_it(locked_server: str) -> None:
    assert post_code(locked_server, f" {VISITOR_CODE}\n").status_code == 303


@pytest.mark.parametrize(
    ("query", "location"),
    [
        (f"code={VISITOR_CODE}", "./"),
        (f"lang=zh&code={VISITOR_CODE}&temperature=1.2", "./?lang=zh&temperature=1.2"),
        (f"co%64e={VISITOR_CODE}&q=%E4%BD%A0", "./?q=%E4%BD%A0"),
    ],
)
def test_a_link_with_the_code_is_cleaned_of_it(locked_server: str, query: str, location: str) -> None:
    answer = get(f"{locked_server}/?{query}")
    assert answer.status_code == 303
    assert answer.headers["Location"] == location
    assert cookie_of(answer)[1]


def test_the_owners_link_makes_a_visitor_the_owner_and_keeps_the_name(locked_server: str) -> None:
    session = requests.Session()
    session.get(f"{locked_server}/?code={VISITOR_CODE}", timeout=30)
    before = cookie_of(session)
    session.get(f"{locked_server}/?code={OWNER_CODE}", timeout=30)
    after = cookie_of(session)
    assert before != after
    assert before[1].split(".")[0] == after[1].split(".")[0]
    session.get(f"{locked_server}/?code={VISITOR_CODE}", timeout=30)
    assert cookie_of(session) == after


def test_an_old_link_does_not_keep_a_signed_in_reader_out(locked_server: str) -> None:
    session = requests.Session()
    session.get(f"{locked_server}/?code={VISITOR_CODE}", timeout=30)
    answer = session.get(f"{locked_server}/?code=an-older-code&lang=zh", timeout=30)
    assert answer.ok
    assert answer.url == f"{locked_server}/?lang=zh"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\r\nX-Evil: 1"]
)
def test_the_form_sends_nobody_to_another_site(locked_server: str, target: str) -> None:
    answer = post_code(locked_server, VISITOR_CODE, target)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("./")
    assert "X-Evil" not in answer.headers


def test_another_sites_form_signs_nobody_in(locked_server: str) -> None:
    answer = post_code(locked_server, VISITOR_CODE, Origin="https://evil.example")
    assert answer.status_code == 403
    assert "Another site sent this form" in answer.text
    assert cookie_of(answer) == ("", "")


def test_what_an_address_holds_cannot_become_markup(locked_server: str) -> None:
    page = post_code(locked_server, "a-wrong-code", '"><script>alert(1)</script>').text
    assert "alert(1)" in page
    assert "<script" not in page


def test_a_forged_cookie_is_worth_nothing(locked_server: str) -> None:
    good = requests.Session()
    good.get(f"{locked_server}/?code={VISITOR_CODE}", timeout=30)
    cookie, value = cookie_of(good)
    name, signed_at, signature = value.split(".")
    for forged in ("", "x", f"{name[:-1]}A.{signed_at}.{signature}", f"{name}.{signed_at}.{signature[:-2]}AA", "你好"):
        headers = {"Cookie": f"{cookie}={forged}".encode()}
        assert requests.get(locked_server + "/ready", headers=headers, timeout=30).status_code == 401


def test_wrong_codes_make_their_sender_wait_and_nobody_else(locked_server: str) -> None:
    signed_in = requests.Session()
    attacker = {"X-Forwarded-For": "203.0.113.7"}
    signed_in.post(locked_server + "/login", data={"code": VISITOR_CODE}, headers=attacker, timeout=30)
    for _ in range(10):
        assert post_code(locked_server, "a-wrong-code", **attacker).status_code == 401

    # How many more are looked at depends on how fast they come.
    answers = [post_code(locked_server, "a-wrong-code", **attacker) for _ in range(5)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    link = get(f"{locked_server}/?code={VISITOR_CODE}", **attacker)
    assert link.status_code == 429
    bearer = {"Authorization": f"Bearer {VISITOR_CODE}", **attacker}
    call = requests.get(locked_server + "/v1/models", headers=bearer, timeout=30)
    assert call.status_code == 429
    assert call.json()["error"]["code"] == "rate_limit_exceeded"
    assert int(call.headers["Retry-After"]) >= 1

    assert signed_in.get(locked_server + "/ready", headers=attacker, timeout=30).ok
    assert post_code(locked_server, VISITOR_CODE, **{"X-Forwarded-For": "198.51.100.4"}).status_code == 303


def test_a_form_that_never_ends_is_refused(locked_server: str) -> None:
    answer = requests.post(locked_server + "/login", data={"code": "x" * 5000}, timeout=30)
    assert answer.status_code == 413
    chunked = requests.post(locked_server + "/login", data=iter([b"code=x"]), timeout=30)
    assert chunked.status_code == 413


def test_signing_out_takes_the_cookie_away(locked_server: str) -> None:
    session = requests.Session()
    session.get(f"{locked_server}/?code={VISITOR_CODE}", timeout=30)
    assert session.get(locked_server + "/logout", timeout=30).ok
    assert session.get(locked_server + "/ready", timeout=30).ok, "a link alone must not sign out"
    session.post(locked_server + "/logout", data={"next": ""}, timeout=30)
    assert cookie_of(session) == ("", "")
    assert session.get(locked_server + "/ready", timeout=30).status_code == 401
