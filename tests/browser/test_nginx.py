"""The nginx configuration of the guide, with TLS and a path of its own, in front of the real server."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from tests.access.conftest import LOCKED, OWNER_CODE, VISITOR_CODE
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser
from tests.server import ROOT, free_port, running_server

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: bash scripts/install-test-tools")


def guides_site(folder: Path, port: int, server: str) -> str:
    """The guide's, with this test's ports and certificate."""
    blocks = re.findall(r"^```nginx\n(.*?)^```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL | re.MULTILINE)
    guide: str = blocks[0]
    for printed, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/letsencrypt/live/chat.example.org/fullchain.pem", str(folder / "cert.pem")),
        ("/etc/letsencrypt/live/chat.example.org/privkey.pem", str(folder / "key.pem")),
        ("http://127.0.0.1:6006", server),
    ):
        assert printed in guide
        guide = guide.replace(printed, here)
    return guide


@contextmanager
def running_nginx(folder: Path, site: str) -> Iterator[None]:
    """nginx with a site inside what a distribution's nginx.conf has around it."""
    paths = " ".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {paths}\n{site}}}"
    )
    nginx = subprocess.Popen([str(NGINX), "-p", folder, "-c", folder / "nginx.conf"])
    try:
        deadline = time.monotonic() + 120
        while not (folder / "nginx.pid").exists():
            assert nginx.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        nginx.terminate()
        nginx.wait(timeout=60)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page as the world sees it."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files],
        check=True,
        capture_output=True,
    )
    options = ["--server.baseUrlPath", "chat"]
    with (
        running_server(folder / "log.txt", LOCKED, "tests/browser/scripted_app.py", "/chat/health", options) as server,
        running_nginx(folder, guides_site(folder, port, server)),
    ):
        yield f"https://127.0.0.1:{port}"


BARE = "proxy_pass {server};"
FORWARDING = "proxy_pass {server}; proxy_http_version 1.1; proxy_set_header {header} $remote_addr;"
KEEPING_ALIVE = "proxy_pass {server}; proxy_http_version 1.1;"
NAMED = "proxy_pass {server}; proxy_http_version 1.1; proxy_set_header Host $http_host;"


@pytest.mark.parametrize(
    ("directives", "status"),
    [
        (BARE, 401),
        (FORWARDING.replace("{header}", "X-Real-IP"), 401),
        (FORWARDING.replace("{header}", "CF-Connecting-IP"), 401),
        (NAMED, 401),
        (KEEPING_ALIVE, 403),  # nothing tells such a stranger from a program on this machine, except the code
    ],
)
def test_a_stranger_behind_a_proxy_on_this_machine_is_not_the_owner(
    tmp_path: Path, scripted_server: str, directives: str, status: int
) -> None:
    port = free_port()
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ {directives.replace('{server}', scripted_server)} }} }}\n"
    with running_nginx(tmp_path, site):
        stranger = {"Host": "chat.example.org"}
        seen = requests.get(f"http://127.0.0.1:{port}/test/caller", headers=stranger, timeout=30)
        figures = requests.get(f"http://127.0.0.1:{port}/metrics", headers=stranger, timeout=30)
    assert figures.status_code == status
    if status == 401:
        assert seen.status_code == 401
    else:
        assert seen.json()["level"] == "local"


def test_the_page_works_below_its_path_over_tls(new_browser: NewBrowser, site: str) -> None:
    context = new_browser(ignore_https_errors=True)
    chat = ChatPage(context.new_page(), site + "/chat")
    chat.page.goto(site + "/chat?temperature=1.2")
    chat.page.get_by_label("Access code").fill(OWNER_CODE)
    chat.page.get_by_role("button", name="Enter").click()
    chat.ask("settings")
    expect(chat.reply).to_contain_text('"temperature":1.2')
    expect(chat.page).to_have_url(re.compile(rf"^{re.escape(site)}/chat/\?temperature=1\.2&c="))
    assert chat.call("/test/caller")["level"] == "owner"
    cookie = next(cookie for cookie in context.cookies() if cookie["name"].startswith("baichuan_access"))
    assert (cookie["path"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == ("/chat", True, True, "Lax")
    chat.page.get_by_role("link", name="Sign out").click()
    chat.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(chat.page.get_by_label("Access code")).to_be_visible()
    expect(chat.page).to_have_url(f"{site}/chat/")


def test_a_reply_arrives_word_by_word(new_browser: NewBrowser, site: str) -> None:
    context = new_browser(ignore_https_errors=True)
    chat = ChatPage(context.new_page(), site + "/chat")
    chat.open(f"/?code={VISITOR_CODE}")
    chat.type("slow")
    expect(chat.reply).to_contain_text("word5")
    chat.stop.click()
    expect(chat.reply).to_contain_text("stopped")


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_apis_are_below_the_path_and_see_the_clients_own_address(site: str) -> None:
    assert requests.get(f"{site}/chat/health", verify=False, timeout=30).ok
    assert requests.get(f"{site}/chat/test/caller", verify=False, timeout=30).status_code == 401
    forged = {"X-Forwarded-For": "203.0.113.99", "Authorization": f"Bearer {VISITOR_CODE}"}
    caller = requests.get(f"{site}/chat/test/caller", headers=forged, verify=False, timeout=30).json()
    assert caller["account"] == "visitor:127.0.0.1"
