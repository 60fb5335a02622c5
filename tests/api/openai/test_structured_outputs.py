"""Replies of a given form, in every way to ask for one."""

import json
import re
from typing import Any

import pytest
import requests

HI = [{"role": "user", "content": "hi"}]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"enum": [1, 2]}},
    "required": ["a"],
    "additionalProperties": False,
}
BODIES: dict[str, dict[str, Any]] = {"/v1/chat/completions": {"messages": HI}, "/v1/completions": {"prompt": "hi"}}


def text_of(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    [choice] = answer.json()["choices"]
    assert choice["finish_reason"] == "stop"
    return str(choice["message"]["content"] if "message" in choice else choice["text"])


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}},
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"guided_json": SCHEMA},
        {"guided_json": json.dumps(SCHEMA)},
        {"structured_outputs": {"json": SCHEMA, "disable_any_whitespace": True}},
    ],
    ids=json.dumps,
)
def test_a_reply_follows_a_json_schema(server: str, path: str, fields: dict[str, Any]) -> None:
    answer = requests.post(server + path, json={**BODIES[path], "max_tokens": 32, **fields}, timeout=60)

    assert json.loads(text_of(answer))["a"] in (1, 2)


@pytest.mark.parametrize(
    ("regex", "name"),
    [
        (r"[0-9]{3}/[a-c]", "guided_regex"),
        (r"\d{2}\.\d", "guided_regex"),
        ("line\n(one|two)", "guided_regex"),
        (r'"(好|坏)"', "structured_outputs"),
        (r"^(?i:yes|no)$", "structured_outputs"),
    ],
)
def test_a_whole_reply_matches_a_regular_expression(server: str, regex: str, name: str) -> None:
    field: Any = regex if name == "guided_regex" else {"regex": regex}
    body: dict[str, Any] = {"messages": HI, "max_tokens": 48, "temperature": 1.5, name: field}
    text = text_of(requests.post(f"{server}/v1/chat/completions", json=body, timeout=60))

    assert re.fullmatch(regex, text), text


@pytest.mark.parametrize("choices", [["yes", "no"], ['"', "\\", "/"], ["好的。", "不\n行"], ["a", "a"]])
def test_a_reply_is_one_of_some_texts(server: str, choices: list[str]) -> None:
    forms: list[dict[str, Any]] = [{"guided_choice": choices}, {"structured_outputs": {"choice": choices}}]
    for fields in forms:
        body: dict[str, Any] = {"messages": HI, "max_tokens": 48, "temperature": 1.5, **fields}
        assert text_of(requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)) in choices


@pytest.mark.parametrize("regex", ["(", "a{2,1}", r"(?=x)", "[z-a]", "a\\"])
def test_a_regular_expression_that_cannot_be_used_is_refused(server: str, regex: str) -> None:
    body: dict[str, Any] = {"messages": HI, "guided_regex": regex}
    answer = requests.post(f"{server}/v1/chat/completions", json=body, timeout=60)

    assert answer.status_code == 400, answer.text
    assert "cannot be used" in answer.json()["error"]["message"]
