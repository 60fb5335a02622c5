"""What Prometheus reads."""

from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.access.conftest import OWNER_CODE

OWNER = {"Authorization": f"Bearer {OWNER_CODE}"}


def read(server: str) -> dict[str, float]:
    answer = requests.get(server + "/metrics", headers=OWNER, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    values: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values


def test_metrics_count_what_was_read_and_written(server: str) -> None:
    call: dict[str, Any] = {"prompt": "你是谁", "temperature": 0, "repetition_penalty": 1.0, "max_new_tokens": 24}
    before = read(server)
    assert requests.post(server, json=call, timeout=60).status_code == 200
    after = read(server)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("baichuan_requests_total") == 1
    assert grown("baichuan_prompt_tokens_total") == 3
    assert grown("baichuan_completion_tokens_total") == 24
    assert grown("baichuan_time_to_first_token_seconds_count") == 1
    assert grown("baichuan_time_between_tokens_seconds_count") > 5


def test_metrics_on_this_machine_are_for_the_owner_and_for_keys_alone(server: str) -> None:
    refused = requests.get(server + "/metrics", timeout=30)
    assert refused.status_code == 403
    assert "the owner's code, which the server prints when it starts" in refused.text
    wrong = requests.get(server + "/metrics", headers={"Authorization": "Bearer sk-anything"}, timeout=30)
    assert wrong.status_code == 401


def test_metrics_tell_queue_cache_and_memory(server: str) -> None:
    values = read(server)

    assert values["baichuan_replies_active"] == values["baichuan_replies_waiting"] == 0
    assert values["baichuan_cache_tokens"] > 0
    assert values["process_resident_memory_bytes"] > 1e7
