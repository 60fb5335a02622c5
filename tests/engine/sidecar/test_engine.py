"""An engine whose server the application runs: a stand-in that speaks real HTTP, in a process of its own."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.engine.errors import EngineError, EngineNotReadyError
from components.engine.events import Delta, Finished
from components.engine.interface import EngineInfo, Generation, GenerationRequest
from components.engine.sidecar.engine import SidecarEngine, serve_through
from components.engine.sidecar.process import Endpoint, Launch
from components.engine.sidecar.sidecar import Sidecar
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.engine.sidecar.test_sidecar import assert_gone, pids, wait_until

STAND_IN = Path(__file__).parent / "vllm" / "stand_in.py"

Serve = Callable[..., SidecarEngine]


@pytest.fixture
def serve(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts engines over the stand-in, of which some things are different."""
    caplog.set_level(logging.INFO, logger="components")
    monkeypatch.setattr("components.engine.remote.failures.FIRST_DELAY_SECONDS", 0.01)
    engines: list[SidecarEngine] = []

    def start(told: dict[str, Any] | None = None, pauses: tuple[float, ...] = (0, 0), **options: Any) -> SidecarEngine:
        def command(endpoint: Endpoint) -> Launch:
            arguments = [sys.executable, str(STAND_IN), "serve", "model", "--port", str(endpoint.port)]
            environment = {"VLLM_API_KEY": endpoint.key.get_secret_value(), "STAND_IN": json.dumps(told or {})}
            return Launch([*arguments, "--served-model-name", "tiny"], environment)

        sidecar = Sidecar("stand-in", command, patience=60, pauses=pauses)
        info = EngineInfo("tiny", False, "cpu", "float32", 4096, SamplingParams(max_new_tokens=64))
        engines.append(engine := serve_through(sidecar, Settings(**options), lambda _: info))
        return engine

    yield start
    for engine in engines:
        engine.close()


def ask(engine: SidecarEngine) -> Generation:
    return engine.generate(
        GenerationRequest([{"role": "user", "content": "你是谁"}], SamplingParams(max_new_tokens=64))
    )


def text_of(generation: Generation) -> str:
    return "".join(event.text for event in generation if isinstance(event, Delta))


def kill_server(caplog: pytest.LogCaptureFixture) -> None:
    psutil.Process(pids(caplog.text)[-2]).kill()


def test_replies_are_written_by_the_server(serve: Serve) -> None:
    engine = serve()

    assert text_of(ask(engine)) == "百川归海。"
    assert engine.failure is None


def test_a_crash_in_mid_reply_costs_that_reply_alone_and_keeps_what_was_written(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    engine = serve({"stalls": 2}, openai_retries=20)
    events = iter(ask(engine))
    written = [event.text for event in (next(events), next(events)) if isinstance(event, Delta)]
    kill_server(caplog)
    with pytest.raises(EngineError, match=r"^stand-in broke off: .* What was written is kept; go on from there"):
        list(events)

    assert written == ["百川", "归"]
    assert next(event for event in ask(engine) if isinstance(event, Delta)) == Delta("百川")


def test_who_asks_while_it_is_started_again_waits_a_little(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    engine = serve(openai_retries=20)
    kill_server(caplog)
    wait_until(lambda: engine.failure)

    assert text_of(ask(engine)) == "百川归海。"


def test_who_asks_while_it_is_down_is_told_so(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    engine = serve(pauses=(600,))
    kill_server(caplog)
    wait_until(lambda: engine.failure)

    with pytest.raises(EngineNotReadyError) as error:
        text_of(ask(engine))
    assert str(error.value) == engine.failure
    assert engine.failure == "stand-in has crashed and is being started again. Ask again in a moment."


def test_an_engine_that_is_closed_ends_its_server(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    engine = serve({"stalls": 1})
    generation = ask(engine)
    events = iter(generation)
    assert next(events) == Delta("百川")
    engine.close()

    assert [event.reason for event in events if isinstance(event, Finished)] == ["cancelled"]
    assert_gone(*pids(caplog.text))
