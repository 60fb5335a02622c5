"""The command line llm, told of the server as its guide for OpenAI-compatible models says; no key is set."""

import json
import re
from pathlib import Path

import pytest

from tests.clients.conftest import CALLING_MODEL, run

QUESTION = "What is the capital of France?"
BRIEF = ["-o", "max_tokens", "16"]


@pytest.fixture
def home(tmp_path: Path, server: str, calling_server: str) -> Path:
    """llm's own folder."""
    models = [("here", "default", server), ("calling", CALLING_MODEL, calling_server)]
    lines = [
        f"- model_id: {name}\n  model_name: {model}\n  api_base: {address}/v1\n"
        "  supports_schema: true\n  supports_tools: true\n"
        for name, model, address in models
    ]
    (tmp_path / "extra-openai-models.yaml").write_text("".join(lines))
    return tmp_path


def ask(home: Path, *arguments: str, model: str = "here") -> str:
    return run("llm", "-m", model, *arguments, LLM_USER_PATH=str(home)).strip()


def test_a_conversation_is_streamed_and_goes_on_in_one_piece(home: Path) -> None:
    assert ask(home, QUESTION, *BRIEF)
    assert ask(home, "And of Italy?", "--continue", "--no-stream", *BRIEF)

    first, second = json.loads(run("llm", "logs", "--json", LLM_USER_PATH=str(home)))
    assert 0 < first["output_tokens"] <= 16
    assert 0 < second["output_tokens"] <= 16
    assert second["input_tokens"] > first["input_tokens"] > 0


@pytest.mark.parametrize("options", [[], ["--no-stream"]])
def test_a_schema_is_followed(home: Path, options: list[str]) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Paris", "Rome"]}, "old": {"type": "boolean"}},
        "required": ["name", "old"],
        "additionalProperties": False,
    }
    city = json.loads(ask(home, QUESTION, "--schema", json.dumps(schema), *options))

    assert city["name"] in ("Paris", "Rome")
    assert isinstance(city["old"], bool)


@pytest.mark.parametrize("options", [[], ["--no-stream"]])
def test_a_tool_is_called_and_its_answer_comes_back(home: Path, options: list[str]) -> None:
    said = ask(home, "Which version is this?", "-T", "llm_version", *options, model="calling")

    assert re.fullmatch(r"It says: \d+(\.\d+)+", said)
