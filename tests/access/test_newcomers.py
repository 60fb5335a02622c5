"""Where no code is asked for, each browser still gets a name of its own, and keeps it."""

import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from components.access import cookies
from components.access.cookies import Session
from components.access.identity import identity_of
from components.access.middleware import AccessMiddleware
from components.access.policy import AccessPolicy
from components.api.refusals import refuse
from components.settings import Settings


async def whoami(request: Request) -> JSONResponse:
    return JSONResponse(asdict(identity_of(request)))


@pytest.fixture
def policy(tmp_path: Path) -> AccessPolicy:
    return replace(AccessPolicy.of(Settings.model_validate({"data_dir": tmp_path})), on_loopback=True)


@pytest.fixture
def app(policy: AccessPolicy) -> AccessMiddleware:
    routes = [Route("/", whoami, methods=["GET", "POST"]), Route("/ready", whoami), Route("/health", whoami)]
    routes += [Route("/operations", whoami)]
    return AccessMiddleware(Starlette(routes=routes), refuse, policy)


def cookies_of(policy: AccessPolicy) -> dict[str, str]:
    """Those of one who showed the visitors' code."""
    made = policy.cookies
    return {made.access: made.sign(Session("visitor", "me")), made.reader: made.sign_name("me")}


def browser(app: AccessMiddleware) -> TestClient:
    return TestClient(app, "http://127.0.0.1:6006", client=("127.0.0.1", 1))


def test_a_newcomer_gets_a_name_and_is_known_by_it_from_then_on(app: AccessMiddleware, policy: AccessPolicy) -> None:
    newcomer = browser(app)
    first = newcomer.get("/")
    cookie = first.headers["set-cookie"]
    assert cookie.startswith(f"{policy.cookies.reader}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    name = newcomer.get("/ready").json()["name"]
    assert name != first.json()["name"] == "127.0.0.1"
    again = newcomer.get("/")
    assert "set-cookie" not in again.headers, "a second name would be a second share"
    assert newcomer.post("/").json()["name"] == again.json()["name"] == name


@pytest.mark.parametrize("page", ["/", "/operations"])
def test_whichever_page_is_opened_first_gives_the_name_and_no_proxy_keeps_it(app: AccessMiddleware, page: str) -> None:
    newcomer = browser(app)
    first = newcomer.get(page)
    assert first.headers["cache-control"] == "private, no-cache"
    name = newcomer.get("/ready").json()["name"]
    for later in ("/", "/operations"):
        again = newcomer.get(later)
        assert again.json()["reader"] == f"browser:{name}"
        assert not {"set-cookie", "cache-control"} & set(again.headers)


def test_no_two_newcomers_have_one_name(app: AccessMiddleware) -> None:
    names = set()
    for _ in range(5):
        newcomer = browser(app)
        newcomer.get("/")
        names.add(newcomer.get("/ready").json()["name"])
    assert len(names) == 5


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("GET", "/ready"), ("GET", "/health"), ("GET", "/nothing")]
)
def test_programs_get_no_name(app: AccessMiddleware, method: str, path: str) -> None:
    assert "set-cookie" not in browser(app).request(method, path).headers


def test_who_signed_in_keeps_the_name_and_what_they_may_do(app: AccessMiddleware, policy: AccessPolicy) -> None:
    owner = browser(app)
    owner.cookies.set(policy.cookies.access, policy.cookies.sign(Session("owner", "me")))
    answer = owner.get("/")
    assert f"{policy.cookies.access}=" not in answer.headers["set-cookie"]
    assert (answer.json()["level"], answer.json()["name"]) == ("owner", "me")
    assert owner.get("/ready").json()["name"] == "me", "the name that an earlier version gave is taken over"


def test_the_owners_link_makes_a_newcomer_the_owner_under_the_name_they_have(
    app: AccessMiddleware, policy: AccessPolicy
) -> None:
    newcomer = browser(app)
    newcomer.get("/")
    name = newcomer.get("/ready").json()["name"]
    assert newcomer.get("/ready").json()["level"] == "local"
    newcomer.get("/", params={"code": policy.codes.owner})
    assert newcomer.get("/ready").json() == {
        "level": "owner",
        "name": name,
        "address": "",
        "reader": f"browser:{name}",
    }


def test_a_made_up_name_is_nobodys(app: AccessMiddleware, policy: AccessPolicy) -> None:
    newcomer = browser(app)
    newcomer.cookies.set(policy.cookies.access, "somebody")
    newcomer.cookies.set(policy.cookies.reader, "somebody")
    assert newcomer.get("/ready").json()["name"] == "127.0.0.1"
    assert newcomer.get("/ready").json()["reader"] == "", "who has no name has no conversations of anybody"
    assert newcomer.get("/").headers["set-cookie"].startswith(f"{policy.cookies.reader}=")


def test_a_changed_code_changes_nobodys_name(tmp_path: Path) -> None:
    def server(code: str) -> tuple[AccessPolicy, TestClient]:
        policy = AccessPolicy.of(Settings.model_validate({"data_dir": tmp_path, "access_code": code}))
        routes = [Route("/", whoami), Route("/ready", whoami)]
        return policy, TestClient(AccessMiddleware(Starlette(routes=routes), refuse, policy), "http://192.0.2.1:6006")

    _, before = server("the-old-code")
    reader = before.get("/", params={"code": "the-old-code"}).json()["reader"]
    assert reader.startswith("browser:")
    _, after = server("the-new-code")
    after.cookies.update(before.cookies)
    assert after.get("/ready").status_code == 401
    assert after.get("/", params={"code": "the-new-code"}).json()["reader"] == reader


@pytest.mark.parametrize("which", ["access", "reader"])
def test_a_cookie_that_is_used_is_renewed_and_one_that_is_new_is_not(
    app: AccessMiddleware, policy: AccessPolicy, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("itsdangerous.timed.time.time", lambda: now - cookies.RENEWED_AFTER_SECONDS - 60)
        old = cookies_of(policy)
    fresh = cookies_of(policy)
    cookie = getattr(policy.cookies, which)
    reader = browser(app)
    reader.cookies.update(fresh)
    assert "set-cookie" not in reader.get("/").headers
    reader.cookies.clear()
    reader.cookies.update(fresh | {cookie: old[cookie]})
    assert reader.get("/").headers["set-cookie"].startswith(f"{cookie}=")


def test_two_servers_on_one_machine_leave_each_other_their_cookies(tmp_path: Path) -> None:
    """Browsers send a cookie to every port of a host."""
    browsers, names = [], []
    for folder in ("one", "two"):
        policy = AccessPolicy.of(Settings.model_validate({"data_dir": tmp_path / folder, "access_code": "the-code"}))
        app = AccessMiddleware(Starlette(routes=[Route("/", whoami), Route("/ready", whoami)]), refuse, policy)
        browsers.append(TestClient(app, "http://192.0.2.1:6006"))
        browsers[-1].cookies.update(browsers[0].cookies)
        names.append(browsers[-1].get("/", params={"code": "the-code"}).json()["reader"])
        browsers[0].cookies.update(browsers[-1].cookies)
    assert browsers[0].get("/ready").json()["reader"] == names[0]
    assert browsers[1].get("/ready").json()["reader"] == names[1]


@pytest.mark.parametrize("forget", [False, True])
def test_who_signs_out_keeps_the_name_unless_it_is_to_be_forgotten(
    app: AccessMiddleware, policy: AccessPolicy, forget: bool
) -> None:
    reader = browser(app)
    reader.cookies.set(policy.cookies.access, policy.cookies.sign(Session("visitor", "me")))
    form = {"next": "", **({"forget": "1"} if forget else {})}
    reader.post("/logout", data=form, headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
    reader.cookies.delete(policy.cookies.access)
    assert (reader.get("/ready").json()["reader"] == "browser:me") is not forget
