"""litellm's one interface."""

import json
from typing import Any

import litellm
from openai import OpenAIError
from scenarios import answer, base_url, model

ASK: Any = {
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "api_base": base_url,
    "api_key": "none",
}
SKY: Any = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tell the weather.", "parameters": SKY}}]


def streamed() -> Any:
    """A stream put together again, by the names that litellm has for servers of this kind."""
    asked = {**ASK, "max_tokens": 8, "stream": True, "stream_options": {"include_usage": True}}
    whole = [
        litellm.stream_chunk_builder(list(litellm.completion(model=f"{kind}/{model}", **asked)))
        for kind in ("openai", "hosted_vllm")
    ]
    return [[one.choices[0].message.content, one.usage.completion_tokens] for one in whole]


def tool() -> Any:
    """A call, put together from a stream."""
    asked = {**ASK, "tools": TOOLS, "tool_choice": "required", "stream": True}
    whole = litellm.stream_chunk_builder(list(litellm.completion(model=f"openai/{model}", **asked)))
    calls = whole.choices[0].message.tool_calls
    return [{"name": call.function.name, "arguments": json.loads(call.function.arguments)} for call in calls]


def responses() -> Any:
    """The other API."""
    answer = litellm.responses(
        model=f"openai/{model}",
        input="What is the capital of France?",
        max_output_tokens=16,
        api_base=base_url,
        api_key="none",
    )
    return answer.output[0].content[0].text


def errors() -> Any:
    """Which of litellm's errors the server's become: it tells by code and by wording."""
    too_long = {**ASK, "messages": [{"role": "user", "content": "a " * 20_000}]}
    wrong = {
        "too long": (f"openai/{model}", too_long),
        "no such model": ("openai/nobody", ASK),
        "bad value": (f"openai/{model}", {**ASK, "temperature": -1}),
    }
    return {what: _error_of(name, asked) for what, (name, asked) in wrong.items()}


def _error_of(name: str, asked: Any) -> str:
    try:
        litellm.completion(model=name, **asked)
    except OpenAIError as error:
        return type(error).__name__
    return "none"


if __name__ == "__main__":
    answer(globals())
