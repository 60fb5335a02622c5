"""What the chunks of a stream count, as ``stream_options`` asks."""

import json
from typing import Any

import pytest
import requests

from tests.tiny import CHATS

CHAT = CHATS[0]
ENDPOINTS = {
    "chat/completions": {"messages": CHAT["messages"], "logprobs": True},
    "completions": {"prompt": [CHAT["input_ids"], [195, 300, 301, 302, 196]], "logprobs": 0},
}


def stream(server: str, path: str, options: dict[str, Any] | None, **fields: Any) -> list[dict[str, Any]]:
    body = {**ENDPOINTS[path], "max_tokens": 12, "seed": 1, "stream": True, "stream_options": options, **fields}
    answer = requests.post(f"{server}/v1/{path}", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    assert "X-Ignored-Fields" not in answer.headers
    *events, done, _ = answer.content.decode().split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def tokens_in(choice: dict[str, Any]) -> int:
    told = choice["logprobs"] or {}
    return len(told.get("content", told.get("tokens", ())))


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("n", [1, 2])
def test_every_chunk_counts_its_choice_so_far(server: str, path: str, n: int) -> None:
    *chunks, last = stream(server, path, {"include_usage": True, "continuous_usage_stats": True}, n=n)
    prompts = [3] if path == "chat/completions" else [3, 5]

    written = [0] * n * len(prompts)
    for chunk in chunks:
        [choice] = chunk["choices"]
        written[choice["index"]] += tokens_in(choice)
        prompt, completion = prompts[choice["index"] // n], written[choice["index"]]
        counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        if choice["finish_reason"] is None:
            assert chunk["usage"] == counted
        else:
            assert chunk["usage"]["prompt_tokens"] == prompt
            written[choice["index"]] = chunk["usage"]["completion_tokens"]
    assert all(written)
    assert last["choices"] == []
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (sum(prompts), sum(written))


def test_an_echoed_prompt_counts_none_of_its_tokens_as_written(server: str) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    for fields in ({"echo": True}, {"echo": True, "logprobs": None}, {"echo": True, "max_tokens": 0}):
        first, *_ = stream(server, "completions", options, **fields)
        assert first["choices"][0]["text"]
        assert (first["usage"]["prompt_tokens"], first["usage"]["completion_tokens"]) == (3, 0)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_only_the_last_chunk_counts_where_no_more_is_asked_for(server: str, path: str) -> None:
    *chunks, last = stream(server, path, {"include_usage": True, "continuous_usage_stats": False})

    assert {chunk["usage"] for chunk in chunks} == {None}
    assert last["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"continuous_usage_stats": True}])
def test_nothing_is_counted_unasked(server: str, path: str, options: dict[str, Any] | None) -> None:
    """vLLM, too, counts continuously only with include_usage."""
    assert all("usage" not in chunk and chunk["choices"] for chunk in stream(server, path, options))
