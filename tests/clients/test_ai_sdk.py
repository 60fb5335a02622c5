"""Vercel's AI SDK, with the provider for compatible servers and with OpenAI's."""

from pathlib import Path
from uuid import UUID

import pytest

from tests.clients.conftest import CALLING_MODEL, Answers, assert_is_city, run_program

CLIENT = Path(__file__).parent / "ai_sdk" / "client.mjs"
MODELS = ["compatible", "chat", "responses"]


@pytest.fixture(scope="module")
def said(server: str) -> Answers:
    tasks = ["text", "streamed", "object", "objectStreamed", "output", "toolSteps", "toolStreamed", "trip"]
    return run_program(
        CLIENT, server, "default", *(f"{model}.{task}" for model in MODELS for task in tasks), ".completion"
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_text_is_generated(said: Answers, model: str) -> None:
    text = said[f"{model}.text"]
    assert text["text"]
    assert 0 < text["tokens"] <= 16
    assert text["finishReason"] == ("length" if text["tokens"] == 16 else "stop")


@pytest.mark.parametrize("model", MODELS)
def test_a_text_is_streamed(said: Answers, model: str) -> None:
    streamed = said[f"{model}.streamed"]
    assert len(streamed["pieces"]) > 1
    assert "".join(streamed["pieces"]) == streamed["text"]
    assert 0 < streamed["tokens"] <= 16
    assert streamed["finishReason"] in ("length", "stop")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", ["object", "output"])
def test_an_object_is_of_the_schema_asked_for(said: Answers, model: str, task: str) -> None:
    assert_is_city(said[f"{model}.{task}"])


@pytest.mark.parametrize("model", MODELS)
def test_an_object_may_have_records_and_formats(said: Answers, model: str) -> None:
    trip = said[f"{model}.trip"]
    assert UUID(trip["request"]).version == 4
    assert trip["days"].keys() == {"Paris", "Rome"}


@pytest.mark.parametrize("model", MODELS)
def test_an_object_grows_while_it_is_written(said: Answers, model: str) -> None:
    streamed = said[f"{model}.objectStreamed"]
    assert "millions" not in streamed["pieces"][0]
    assert_is_city(streamed["object"])


def test_a_prompt_is_written_on(said: Answers) -> None:
    completion = said[".completion"]
    assert completion["text"]
    assert 0 < completion["tokens"] <= 4
    assert completion["finishReason"] == ("length" if completion["tokens"] == 4 else "stop")


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_that_must_be_called_is(said: Answers, model: str) -> None:
    first, last = said[f"{model}.toolSteps"]
    assert first["finishReason"] == "tool-calls"
    assert first["outputs"]
    assert set(first["outputs"]) == {"swordfish"}
    assert last["finishReason"] in ("length", "stop")
    assert {"tool-input-start", "tool-input-delta", "tool-input-end", "tool-call", "tool-result"} <= set(
        said[f"{model}.toolStreamed"]
    )


@pytest.fixture(scope="module")
def called(calling_server: str) -> Answers:
    return run_program(CLIENT, calling_server, CALLING_MODEL, *(f"{model}.tool" for model in MODELS))


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_that_may_be_called_is_and_its_answer_comes_back(called: Answers, model: str) -> None:
    assert called[f"{model}.tool"] == "It says: swordfish"
