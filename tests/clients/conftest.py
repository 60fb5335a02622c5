"""Clients that nobody here wrote, unmodified, each as its own guide says to use it.

They live in an environment of their own, which ``make test`` installs, so they run as programs: command lines of
theirs, and what lies in ``programs/`` and ``ai_sdk/``, which answer with JSON what the client made of the server.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.api.openai.tools import CLOSE, OPEN
from components.engine.interface import GenerationRequest
from components.model.generation_file import NAME as GENERATION_FILE
from tests.api.scripted_server import serving_engine
from tests.scripted_engine import INFO, ScriptedEngine
from tests.server import ROOT, running_server

BIN = ROOT / ".venv-clients" / "bin"
PROGRAMS = Path(__file__).parent / "programs"
DEADLINE_SECONDS = 600

CALLING_MODEL = INFO.model
"""Runs on ``calling_server``."""


def run(command: str, *arguments: str | Path, **env: str) -> str:
    """What a command of the clients' environment prints.

    It knows nothing of the developer's own keys and settings, and is not to ask the internet for any.
    """
    if not (BIN.parent / "installed").exists():
        pytest.fail("The clients are not installed. Run: make .venv-clients/installed")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LLM_"))}
    offline = {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    done = subprocess.run(
        [BIN / command, *arguments],
        env=inherited | offline | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Answers:
    """What each scenario of a program answered, by its name. Who asks for one that failed fails with it."""

    def __init__(self, said: str) -> None:
        self._answers = json.loads(said.splitlines()[-1])

    def __getitem__(self, scenario: str) -> Any:
        if failure := self._answers["failed"].get(scenario):
            pytest.fail(failure, pytrace=False)
        return self._answers[scenario]


def run_program(program: Path, address: str, model: str, *scenarios: str) -> Answers:
    """Run a program's scenarios. It is JavaScript, or Python of ``programs/``."""
    return Answers(run("node" if program.suffix == ".mjs" else "python", program, f"{address}/v1", model, *scenarios))


def assert_is_city(value: Any) -> None:
    """What the programs ask for where they ask for an object."""
    assert value.keys() == {"name", "millions"}
    assert value["name"] in ("Paris", "Rome")
    assert 1 <= value["millions"] <= 40


@pytest.fixture(scope="session")
def server(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server with the demo model: these clients' prompts are too long for the tiny checkpoint.

    It takes the likeliest token unless a client asks for more, so that no test depends on how a reply happens to end.
    """
    folder = tmp_path_factory.mktemp("server")
    model = folder / demo_model.name
    model.mkdir()
    for file in demo_model.iterdir():
        if file.name != GENERATION_FILE:
            (model / file.name).symlink_to(file)
    defaults = json.loads((demo_model / GENERATION_FILE).read_text())
    (model / GENERATION_FILE).write_text(json.dumps(defaults | {"do_sample": False}))
    with running_server(folder / "log.txt", {"BAICHUAN_MODEL": str(model)}) as address:
        yield address


@pytest.fixture(scope="module")
def calling_server() -> Iterator[str]:
    """The address of a server whose model calls a function when it may, and repeats what the function answered."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        serving_engine(ScriptedEngine(_call_first_function), monkeypatch) as address,
    ):
        yield address


def _call_first_function(request: GenerationRequest) -> Iterable[str]:
    said = request.messages[-1]["content"]
    if answered := re.fullmatch(r"<tool_response>(.*)</tool_response>", said, re.DOTALL):
        yield "It says: "
        yield answered[1]
        return
    named = re.search(r'^{"name": ("\w+")', request.messages[0]["content"], re.MULTILINE)
    assert named, request.messages[0]
    yield OPEN
    yield f'{{"name": {named[1]}, "arguments": '
    yield "{}}"
    yield CLOSE
