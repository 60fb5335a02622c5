"""What the server prints at start, and that what it prints works."""

import re
from pathlib import Path

import requests

from tests.access.conftest import MODEL
from tests.server import running_server

PUBLIC = ("--server.address", "0.0.0.0")


def test_the_printed_links_lead_in_and_nothing_else_does(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with running_server(log, MODEL, wait_for="/health", options=PUBLIC) as address:
        assert requests.get(address + "/ready", timeout=30).status_code == 401
        links = re.findall(r"http://\S+/\?code=\S+", log.read_text())
        assert len(links) == 2
        for link in links:
            here = re.sub(r"http://[^/]+", address, link)
            assert "static/js" in requests.get(here, headers={"Accept": "text/html"}, timeout=30).text
        first = links[0].partition("=")[2]
    with running_server(log, MODEL, wait_for="/health", options=PUBLIC) as address:
        assert first in log.read_text(), "the code did not outlive a restart"


def test_a_code_from_the_settings_is_not_printed(tmp_path: Path) -> None:
    env = {**MODEL, "BAICHUAN_ACCESS_CODE": "a-secret-code", "BAICHUAN_ACCESS": "locked"}
    with running_server(tmp_path / "log.txt", env, wait_for="/health"):
        log = (tmp_path / "log.txt").read_text()
    assert "a-secret-code" not in log
    assert "as in BAICHUAN_ACCESS_CODE" in log


def test_on_loopback_the_plain_address_is_printed_and_the_owners_link_makes_the_owner(tmp_path: Path) -> None:
    with running_server(tmp_path / "log.txt", MODEL) as address:
        log = (tmp_path / "log.txt").read_text()
        assert f"Chat: {address}/\n" in log
        (link,) = re.findall(r"For the owner: (http://\S+/\?code=\S+)", log)
        browser = requests.Session()
        assert browser.get(address, timeout=30).ok
        assert browser.get(address + "/metrics", timeout=30).status_code == 403
        assert browser.get(link, timeout=30).url == f"{address}/"
        assert browser.get(address + "/metrics", timeout=30).status_code == 200


def test_an_open_server_says_so_in_its_log(tmp_path: Path) -> None:
    env = {**MODEL, "BAICHUAN_ACCESS": "open"}
    with running_server(tmp_path / "log.txt", env, wait_for="/health", options=PUBLIC) as address:
        answer = requests.get(address + "/ready", headers={"Host": "example.org"}, timeout=30)
    assert answer.status_code in (200, 503)
    log = (tmp_path / "log.txt").read_text()
    assert re.search(r"For the owner: http://\S+/\?code=\S+", log)
    assert "everybody who reaches its address can chat here" in log
    assert "BAICHUAN_ACCESS=open" in log
