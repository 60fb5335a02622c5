"""API keys, made and withdrawn with keys.py while a server runs."""

import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

import keys
from components.access.keys import FILE_NAME, KeyStore
from components.settings import get_settings
from tests.access.conftest import LOCKED
from tests.server import ROOT, running_server


def run(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "keys.py", *arguments],
        cwd=ROOT,
        env={"BAICHUAN_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_key_works_from_when_it_is_made_until_it_is_withdrawn(tmp_path: Path) -> None:
    env = {**LOCKED, "BAICHUAN_DATA_DIR": str(tmp_path)}
    with running_server(tmp_path / "log.txt", env, "tests/browser/scripted_app.py", "/health") as server:

        def caller(key: str) -> requests.Response:
            return requests.get(server + "/test/caller", headers={"Authorization": f"Bearer {key}"}, timeout=30)

        key = run(tmp_path, "add", "my-script").stdout.split()[0]
        assert key.startswith("bc-")
        assert caller(key).json()["account"] == "key:my-script"
        assert caller(key[:-1]).status_code == 401

        other = run(tmp_path, "add", "other").stdout.split()[0]
        assert "my-script" in (listed := run(tmp_path, "list").stdout)
        assert "other" in listed
        assert key not in listed

        assert run(tmp_path, "remove", "my-script").returncode == 0
        assert caller(key).status_code == 401
        assert caller(other).ok

        (tmp_path / FILE_NAME).write_text("{")
        assert caller(other).status_code == 500
        assert "its log says why" in caller(other).json()["error"]
    assert f"{tmp_path / FILE_NAME} cannot be read" in (tmp_path / "log.txt").read_text()


def test_a_key_is_stored_as_a_hash_in_a_private_file(tmp_path: Path) -> None:
    key = KeyStore(tmp_path / FILE_NAME).add("name")
    file = tmp_path / FILE_NAME
    assert len(key) >= 3 + 43
    assert key not in file.read_text()
    assert json.loads(file.read_text())[0]["name"] == "name"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    def add(number: int) -> None:
        KeyStore(tmp_path / FILE_NAME).add(f"key-{number}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KeyStore(tmp_path / FILE_NAME).all()) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "taken"], "There is a key named taken already"),
        (["add", "two words"], "cannot be a name"),
        (["remove", "nobody"], "no key named nobody (known: taken)"),
    ],
)
def test_a_mistake_is_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("BAICHUAN_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert keys.main(["add", "taken"]) == 0
    assert keys.main(arguments) == 1
    get_settings.cache_clear()
    assert message in capsys.readouterr().err
