"""OpenAI's agents, which speak /v1/responses unless told otherwise."""

import pytest

from tests.clients.conftest import CALLING_MODEL, PROGRAMS, Answers, assert_is_city, run_program

PROGRAM = PROGRAMS / "with_openai_agents.py"


@pytest.fixture(scope="module")
def said(server: str) -> Answers:
    return run_program(PROGRAM, server, "default", "typed", "streamed", "tool")


def test_output_is_of_the_type_asked_for(said: Answers) -> None:
    assert_is_city(said["typed"])


def test_a_stream_is_what_was_said_in_pieces(said: Answers) -> None:
    streamed = said["streamed"]
    assert len(streamed["pieces"]) > 1
    assert "".join(streamed["pieces"]) == streamed["output"]
    assert streamed["last"] == "response.completed"


def test_an_agent_that_must_call_its_tool_does(said: Answers) -> None:
    assert said["tool"] == "swordfish"


@pytest.fixture(scope="module")
def called(calling_server: str) -> Answers:
    return run_program(PROGRAM, calling_server, CALLING_MODEL, "tool_streamed", "chat_tool")


@pytest.mark.parametrize("scenario", ["tool_streamed", "chat_tool"])
def test_an_agent_calls_its_tool_and_hears_the_answer(called: Answers, scenario: str) -> None:
    assert called[scenario] == "It says: swordfish"
