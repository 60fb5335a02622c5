"""Engines whose model runs on another server: a stub of one that speaks real HTTP, and the real client."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.engine.remote.connecting import connect
from components.engine.remote.engine import RemoteEngine
from components.settings import Settings
from tests.engine.remote.openai_stub import OpenAIStub, running_stub

KEY = "sk-very-secret-0123456789"

Connect = Callable[..., RemoteEngine]


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def remote(stub: OpenAIStub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connects engines to the stub; options are settings. Of our own choice, they wait milliseconds between tries."""
    monkeypatch.setattr("components.engine.remote.failures.FIRST_DELAY_SECONDS", 0.01)
    engines = []

    def make(**options: Any) -> RemoteEngine:
        settings = Settings(**{"engine": "openai", "openai_base_url": stub.url, "openai_api_key": KEY, **options})
        engines.append(engine := connect(settings, lambda _: None))
        return engine

    yield make
    for engine in engines:
        engine.close()
