"""Requests that the description of the APIs shows. The tests send each of them."""

from typing import Any

TUTORIAL: dict[str, Any] = {"prompt": "你是谁", "temperature": 0.3, "max_new_tokens": 64}

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "你是谁"}], "max_tokens": 64, "seed": 1}

CHAT_STREAM: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": "Where do swallows live?"},
    ],
    "max_tokens": 64,
    "stream": True,
    "stream_options": {"include_usage": True},
}

CHAT_JSON: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Name a bird."}],
    "max_tokens": 64,
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "bird",
            "schema": {
                "type": "object",
                "properties": {"bird": {"enum": ["swallow", "swift"]}},
                "required": ["bird"],
                "additionalProperties": False,
            },
        },
    },
}

COMPLETION: dict[str, Any] = {"prompt": "Once upon a time", "max_tokens": 32}

RESPONSE: dict[str, Any] = {"instructions": "Answer in one sentence.", "input": "你是谁", "max_output_tokens": 64}

TOKENIZE: dict[str, Any] = {"messages": [{"role": "user", "content": "你好"}]}

DETOKENIZE: dict[str, Any] = {"tokens": [65, 66]}
