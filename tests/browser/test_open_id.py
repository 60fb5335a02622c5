"""Signing in with an OpenID provider instead of a code."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.access.conftest import LOCKED, VISITOR_CODE
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.browser.open_id_provider import CLIENT_ID, SUBJECT, running_provider
from tests.server import free_port, running_server

APP = "tests/browser/scripted_app.py"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("open-id")
    port = free_port()
    with running_provider() as provider:
        secrets = folder / "secrets.toml"
        secrets.write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
            f'cookie_secret = "a secret of this test, long enough"\nclient_id = "{CLIENT_ID}"\nclient_secret = "x"\n'
            f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
        )
        options = ["--secrets.files", str(secrets)]
        env = {**LOCKED, "BAICHUAN_SIGN_IN": "true"}
        with running_server(folder / "log.txt", env, APP, "/health", options, port):
            yield f"http://127.0.0.1:{port}"


def test_the_page_opens_after_the_provider_says_who_it_is(new_browser: NewBrowser, site: str) -> None:
    chat = ChatPage(new_browser().new_page(), site)
    chat.page.goto(site)
    button = chat.page.get_by_role("button", name="Sign in")
    expect(button).to_be_visible()
    expect(chat.input).to_have_count(0)
    chat.shoot("open-id")
    button.click()
    chat.ask("hello")
    expect(chat.reply).to_contain_text("You said: hello")
    owner = {"Authorization": f"Bearer {VISITOR_CODE}"}
    assert requests.get(site + "/test/visitors", headers=owner, timeout=30).json()[-1] == f"visitor:{SUBJECT}"
    chat.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(button).to_be_visible()
    expect(chat.input).to_have_count(0)


def test_a_code_still_opens_it(new_browser: NewBrowser, site: str) -> None:
    chat = ChatPage(new_browser().new_page(), site)
    chat.page.goto(site)
    chat.page.get_by_role("link", name="I have an access code").click()
    chat.page.get_by_label("Access code").fill(VISITOR_CODE)
    chat.page.get_by_role("button", name="Enter").click()
    expect(chat.input).to_be_visible()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("GET", "/ready"),
        ("GET", "/v1/models"),
        ("GET", "/test/visitors"),
        ("GET", "/_stcore/metrics"),
        ("PUT", "/_stcore/upload_file/session/file"),
        ("GET", "/static/../ready"),
    ],
)
def test_all_but_the_page_stays_locked(site: str, method: str, path: str) -> None:
    answer = requests.request(method, site + path, timeout=30)
    assert answer.status_code == 401


def test_another_sites_page_cannot_open_the_stream(site: str) -> None:
    url = site.replace("http", "ws") + "/_stcore/stream"
    with pytest.raises(InvalidStatus), connect(url, additional_headers={"Sec-Fetch-Site": "cross-site"}):
        pass
