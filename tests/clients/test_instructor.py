"""instructor makes objects of what the model says."""

import pytest

from tests.api.scripted_server import serving_engine
from tests.clients.conftest import PROGRAMS, Answers, assert_is_city, run_program
from tests.scripted_engine import ScriptedEngine

PROGRAM = PROGRAMS / "with_instructor.py"


@pytest.fixture(scope="module")
def said(server: str) -> Answers:
    return run_program(PROGRAM, server, "default", "tools", "tools_partial", "json_schema")


@pytest.mark.parametrize("scenario", ["tools", "json_schema"])
def test_an_object_is_of_the_class_asked_for(said: Answers, scenario: str) -> None:
    assert_is_city(said[scenario])


def test_an_object_grows_while_it_is_written(said: Answers) -> None:
    assert said["tools_partial"][0]["millions"] is None
    assert_is_city(said["tools_partial"][-1])


def test_json_mode_asks_the_engine_for_json(monkeypatch: pytest.MonkeyPatch) -> None:
    # Here the schema is only in the prompt, which a model of the tests' size does not heed: this one does.
    engine = ScriptedEngine(lambda _: ['{"name": "Paris",', ' "millions": 2}'])
    with serving_engine(engine, monkeypatch) as address:
        said = run_program(PROGRAM, address, engine.info.model, "json_mode")

    assert said["json_mode"] == {"name": "Paris", "millions": 2}
    [asked] = engine.requests
    assert asked.sampling.json_schema is not None
