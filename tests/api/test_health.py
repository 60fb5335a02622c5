"""What a watcher of the server sees."""

from pathlib import Path

import requests

from tests.server import running_server


def test_a_loaded_model_is_healthy_and_ready(server: str) -> None:
    assert requests.get(server + "/health", timeout=30).json() == {"status": "ok"}
    assert requests.get(server + "/ready", timeout=30).json() == {"status": "ready", "model": "baichuan2-7b-tiny"}


def test_without_a_model_the_process_is_healthy_but_not_ready(tmp_path: Path) -> None:
    env = {"BAICHUAN_MODELS_DIR": str(tmp_path), "BAICHUAN_DATA_DIR": str(tmp_path)}
    with running_server(tmp_path / "log.txt", env, wait_for="/health") as address:
        answer = requests.get(address + "/ready", timeout=30)
        while answer.json()["status"] == "loading":
            answer = requests.get(address + "/ready", timeout=30)
        call = requests.post(address + "/", json={"prompt": "hi"}, timeout=30)

    assert answer.status_code == 503
    assert answer.json()["status"] == "failed"
    assert "python download.py" in answer.json()["error"]
    assert call.status_code == 503
    assert call.json()["error"] == answer.json()["error"]
    assert int(call.headers["Retry-After"]) > 0
