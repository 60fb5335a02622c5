"""What a watcher of the server sees."""

import time
from pathlib import Path

import pytest
import requests

from tests.api.scripted_server import serving_engine
from tests.scripted_engine import ScriptedEngine
from tests.server import running_server


def test_a_loaded_model_is_healthy_and_ready(server: str) -> None:
    assert requests.get(server + "/health", timeout=30).json() == {"status": "ok"}
    assert requests.get(server + "/ready", timeout=30).json() == {"status": "ready", "model": "baichuan2-7b-tiny"}


def test_without_a_model_the_process_is_healthy_but_not_ready(tmp_path: Path) -> None:
    env = {"BAICHUAN_MODELS_DIR": str(tmp_path), "BAICHUAN_DATA_DIR": str(tmp_path)}
    with running_server(tmp_path / "log.txt", env, wait_for="/health") as address:
        answer = requests.get(address + "/ready", timeout=30)
        while answer.json()["status"] == "loading":
            time.sleep(0.2)
            answer = requests.get(address + "/ready", timeout=30)
        call = requests.post(address + "/", json={"prompt": "hi"}, timeout=30)

    assert answer.status_code == 503
    assert answer.json()["status"] == "failed"
    assert "python download.py" in answer.json()["error"]
    assert call.status_code == 503
    assert call.json()["error"] == answer.json()["error"]
    assert int(call.headers["Retry-After"]) > 0


class LostEngine(ScriptedEngine):
    """Its device is gone for good."""

    @property
    def failure(self) -> str | None:
        return "The GPU is lost. Restart the server."


def test_an_engine_that_is_lost_for_good_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_engine(LostEngine(), monkeypatch) as address:
        answer = requests.get(address + "/ready", timeout=30)
        assert requests.get(address + "/health", timeout=30).status_code == 200

    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "error": "The GPU is lost. Restart the server."}
