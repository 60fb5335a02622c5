"""What Prometheus reads, and who may."""

import time
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from components.access.identity import Identity
from components.engine.host import Failed, Loading, Ready, State
from components.engine.interface import Load
from tests.api.conftest import OWNER
from tests.api.scripted_server import serving
from tests.scripted_engine import ScriptedEngine


def parse(answer: requests.Response) -> dict[str, float]:
    """Every sample by its name and labels, such as ``baichuan_cache_tokens{state=used}``."""
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            values[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return values


def read(server: str) -> dict[str, float]:
    return parse(requests.get(server + "/metrics", headers=OWNER, timeout=60))


def test_metrics_count_what_was_read_and_written(server: str) -> None:
    call: dict[str, Any] = {"prompt": "你是谁", "temperature": 0, "repetition_penalty": 1.0, "max_new_tokens": 24}
    before = read(server)
    assert requests.post(server, json=call, timeout=60).status_code == 200
    after = read(server)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("baichuan_requests_total{origin=tutorial,outcome=length}") == 1
    assert grown("baichuan_prompt_tokens_total") == 3
    assert grown("baichuan_completion_tokens_total") == 24
    assert grown("baichuan_time_to_first_token_seconds_count") == 1
    assert grown("baichuan_time_between_tokens_seconds_count") > 5
    assert after["baichuan_time_to_first_token_seconds_sum"] > before["baichuan_time_to_first_token_seconds_sum"]


def test_metrics_tell_what_of_a_prompt_was_known(server: str) -> None:
    call: dict[str, Any] = {"prompt": "一个问题，问了两次" * 4, "temperature": 0, "max_new_tokens": 1}
    requests.post(server, json=call, timeout=60)
    before = read(server)
    requests.post(server, json=call, timeout=60)
    after = read(server)

    read_tokens, reused = (
        after[name] - before[name] for name in ("baichuan_prompt_tokens_total", "baichuan_prompt_tokens_reused_total")
    )
    assert 0 < reused < read_tokens


def test_metrics_on_this_machine_are_for_the_owner_and_for_keys_alone(server: str) -> None:
    refused = requests.get(server + "/metrics", timeout=30)
    assert refused.status_code == 403
    assert "the owner's code, which the server prints when it starts" in refused.text
    wrong = requests.get(server + "/metrics", headers={"Authorization": "Bearer sk-anything"}, timeout=30)
    assert wrong.status_code == 401


def test_metrics_tell_queue_cache_and_memory(server: str) -> None:
    values = read(server)

    assert values["baichuan_replies_active"] == values["baichuan_replies_waiting"] == 0
    assert values["baichuan_cache_tokens{state=used}"] == 0, "nothing is being written"
    assert values["baichuan_cache_tokens{state=capacity}"] >= values["baichuan_cache_tokens{state=idle}"] >= 0
    assert values["baichuan_cache_tokens{state=capacity}"] > 0
    assert values["process_resident_memory_bytes"] > 1e7


@pytest.mark.parametrize("caller", [Identity("owner", "me"), Identity("key", "prometheus")])
def test_the_owner_and_programs_with_a_key_read_the_engines_figures(
    caller: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine()
    engine.busy = Load(active=3, waiting=2, used_tokens=500, idle_tokens=70, capacity_tokens=4096)
    with serving(Ready(engine, 1.0), monkeypatch, caller) as address:
        values = read(address)

    assert (values["baichuan_replies_active"], values["baichuan_replies_waiting"]) == (3, 2)
    assert values["baichuan_cache_tokens{state=used}"] == 500
    assert values["baichuan_cache_tokens{state=idle}"] == 70
    assert values["baichuan_cache_tokens{state=capacity}"] == 4096


def test_visitors_are_told_for_whom_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Ready(ScriptedEngine(), 1.0), monkeypatch, Identity("visitor", "anna")) as address:
        answer = requests.get(address + "/metrics", timeout=60)

    assert answer.status_code == 403
    assert "python keys.py add" in answer.text
    assert "baichuan_" not in answer.text


@pytest.mark.parametrize(
    ("state", "words"),
    [(Loading("weights", time.monotonic()), "still loading"), (Failed("There is no model."), "There is no model.")],
)
def test_without_a_model_there_are_none_yet(state: State, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(state, monkeypatch) as address:
        answer = requests.get(address + "/metrics", timeout=60)

    assert answer.status_code == 503
    assert words in answer.text
