"""Agents of pydantic-ai, by chat completions and by responses."""

from uuid import UUID

import pytest

from tests.clients.conftest import CALLING_MODEL, PROGRAMS, Answers, assert_is_city, run_program

PROGRAM = PROGRAMS / "with_pydantic_ai.py"


@pytest.fixture(scope="module")
def said(server: str) -> Answers:
    scenarios = ["text", "streamed", "typed", "typed_streamed", "typed_natively", "responses", "responses_typed"]
    scenarios += ["typed_with_formats", "tool_of_paths"]
    return run_program(PROGRAM, server, "default", *scenarios)


def test_an_agent_without_a_key_is_answered(said: Answers) -> None:
    assert said["text"]["key"] == "api-key-not-set"
    assert said["text"]["output"]
    assert 0 < said["text"]["tokens"] <= 16


def test_a_stream_comes_in_pieces_and_tells_its_tokens(said: Answers) -> None:
    assert len(said["streamed"]["pieces"]) > 1
    assert 0 < said["streamed"]["tokens"] <= 16


@pytest.mark.parametrize("scenario", ["typed", "typed_natively"])
def test_output_is_of_the_type_asked_for(said: Answers, scenario: str) -> None:
    assert_is_city(said[scenario])


def test_output_may_have_formats_sets_and_names_that_are_literals(said: Answers) -> None:
    trip = said["typed_with_formats"]
    assert UUID(trip["request"]).version == 4
    assert {*trip["cities"], *trip["days"]} <= {"Paris", "Rome"}


def test_a_tool_may_take_paths_and_sets(said: Answers) -> None:
    assert isinstance(said["tool_of_paths"], str)


def test_streamed_output_is_of_the_type_asked_for(said: Answers) -> None:
    assert_is_city(said["typed_streamed"][-1])


def test_responses_are_texts_and_types_too(said: Answers) -> None:
    assert said["responses"]["output"]
    assert 0 < said["responses"]["tokens"] <= 16
    assert_is_city(said["responses"]["city"])


def test_responses_have_the_type_asked_for_by_way_of_a_tool(said: Answers) -> None:
    assert_is_city(said["responses_typed"])


def test_an_agent_calls_its_tool_and_hears_the_answer(calling_server: str) -> None:
    assert run_program(PROGRAM, calling_server, CALLING_MODEL, "tool")["tool"] == "It says: swordfish"
