"""Every request can be found again in the log, and what was said stays out of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.server import running_server
from tests.tiny import CHATS, TINY_PATH

CALL: dict[str, Any] = {"prompt": "你是谁", "temperature": 0, "repetition_penalty": 1.0, "max_new_tokens": 24}


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "logs" / "requests.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("log_prompts", [False, True])
def test_a_request_leaves_one_line_and_its_reply_another(tmp_path: Path, log_prompts: bool) -> None:
    env = {"BAICHUAN_MODEL": str(TINY_PATH), "BAICHUAN_DATA_DIR": str(tmp_path), "BAICHUAN_DTYPE": "float32"}
    with running_server(tmp_path / "log.txt", env | {"BAICHUAN_LOG_PROMPTS": str(log_prompts)}) as server:
        answer = requests.post(server, json=CALL, headers={"X-Request-ID": "mine-1"}, timeout=60)
        refused = requests.post(server, json={}, headers={"X-Request-ID": "not\tacceptable"}, timeout=60)

    found = lines(tmp_path)
    (http,) = [line for line in found if line["kind"] == "http" and line["request_id"] == "mine-1"]
    (reply,) = [line for line in found if line["kind"] == "reply" and line["request_id"] == "mine-1"]
    assert answer.headers["X-Request-ID"] == "mine-1"
    assert (http["method"], http["path"], http["status"]) == ("POST", "/", 200)
    assert (reply["origin"], reply["outcome"]) == ("tutorial", "length")
    assert (reply["prompt_tokens"], reply["completion_tokens"]) == (3, 24)
    number = refused.headers["X-Request-ID"]
    assert len(number) == 32
    assert next(line["status"] for line in found if line["request_id"] == number) == 400
    text = (tmp_path / "logs" / "requests.jsonl").read_text(encoding="utf-8") + (tmp_path / "log.txt").read_text()
    assert ("你是谁" in text) == log_prompts
    assert reply.get("answered") == (CHATS[0]["greedy_text"] if log_prompts else None)
