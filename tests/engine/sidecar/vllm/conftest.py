"""vLLM beside the application, with a stand-in in its place."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.engine.interface import Engine, Stage
from components.engine.sidecar.vllm.loading import load_vllm
from components.model.export.folder import export_llama
from components.settings import Settings
from tests.tiny import TINY_PATH

STAND_IN = Path(__file__).with_name("stand_in.py")
NAME = "Baichuan2-7B-Chat"
REPLY = "百川归海。"
"""What the stand-in writes, in pieces of one character and more."""

REPLY_IDS = [3944, 479, 433, 407, 4017, 3904, 3237]

Load = Callable[..., Engine]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the tiny Baichuan checkpoint, and its export for vLLM."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(TINY_PATH, folder / NAME)
    export_llama(folder / NAME, folder / f"{NAME}-Llama")
    return folder


@pytest.fixture
def load(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Load]:
    """Loads that checkpoint into the stand-in, of which some things are different (STAND_IN); options are settings."""
    caplog.set_level(logging.INFO, logger="components")
    monkeypatch.setattr("components.engine.remote.failures.FIRST_DELAY_SECONDS", 0.01)
    engines: list[Engine] = []

    def start(
        told: dict[str, Any] | None = None,
        stages: list[Stage] | None = None,
        pauses: Sequence[float] = (0, 0),
        **options: Any,
    ) -> Engine:
        monkeypatch.setenv("STAND_IN", json.dumps(told or {}))
        monkeypatch.setattr("components.engine.sidecar.vllm.loading.PAUSES", pauses)
        defaults = {"model": models / NAME, "models_dir": models, "data_dir": tmp_path / "data", "vllm": STAND_IN}
        settings = Settings(**{"engine": "vllm", **defaults, **options})
        engines.append(engine := load_vllm(settings, (stages if stages is not None else []).append))
        return engine

    yield start
    for engine in engines:
        engine.close()
