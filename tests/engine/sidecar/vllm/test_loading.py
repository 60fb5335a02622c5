"""vLLM beside the application, from the settings to a reply. A stand-in takes vLLM's place."""

import json
import logging
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.checkpoints.errors import CheckpointError
from components.engine.errors import EngineError
from components.engine.events import Delta
from components.engine.interface import Engine, GenerationRequest, Stage
from components.engine.sidecar.vllm.loading import load_vllm
from components.sampling.parameters import SamplingParams
from components.settings import Settings
from tests.engine.sidecar.test_sidecar import assert_gone, pids
from tests.server import running_server
from tests.tiny import TINY_PATH

STAND_IN = Path(__file__).with_name("stand_in.py")
REPLY = "百川归海。"

Load = Callable[..., Engine]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the tiny Baichuan checkpoint."""
    return Path(shutil.copytree(TINY_PATH, tmp_path / "Baichuan2-7B-Chat"))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """A checkpoint that vllm reads as it is; the stand-in does not look into its weights."""
    folder = tmp_path / "Llama"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "dtype": "bfloat16"}')
    shutil.copy(TINY_PATH / "generation_config.json", folder)
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture
def load(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Load]:
    """Loads it, or another checkpoint, into the stand-in, of which some things are different; notes the stages."""
    caplog.set_level(logging.INFO, logger="components")
    engines: list[Engine] = []

    def start(told: dict[str, Any] | None = None, stages: list[Stage] | None = None, **options: Any) -> Engine:
        monkeypatch.setenv("STAND_IN", json.dumps(told or {}))
        defaults = {"model": llama, "models_dir": tmp_path / "models", "data_dir": tmp_path / "data"}
        settings = Settings(**{"engine": "vllm", "vllm": STAND_IN, **defaults, **options})
        engines.append(engine := load_vllm(settings, (stages if stages is not None else []).append))
        return engine

    yield start
    for engine in engines:
        engine.close()


def ask(engine: Engine) -> str:
    request = GenerationRequest([{"role": "user", "content": "你是谁"}], SamplingParams(max_new_tokens=64))
    return "".join(event.text for event in engine.generate(request) if isinstance(event, Delta))


def test_a_baichuan_checkpoint_is_written_as_a_llama_once_until_it_changes(
    load: Load, source: Path, tmp_path: Path
) -> None:
    stages: list[Stage] = []
    first = load({"tells": str(tmp_path / "options.json")}, stages, model=source)

    assert stages == ["exporting", "starting"]
    assert ask(first) == REPLY
    options = json.loads((tmp_path / "options.json").read_text())
    folder = Path(options["model"])
    assert folder == tmp_path / "models" / "Baichuan2-7B-Chat-Llama"
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    assert options["served_model_name"] == "Baichuan2-7B-Chat"
    assert options["host"] == "127.0.0.1"
    first.close()

    stages.clear()
    again = load(stages=stages, model=source)
    assert stages == ["starting"]
    assert ask(again) == REPLY
    again.close()

    values = json.loads((source / "generation_config.json").read_text())
    (source / "generation_config.json").write_text(json.dumps(values | {"top_k": 7}))
    stages.clear()
    load(stages=stages, model=source)
    assert stages == ["exporting", "starting"]
    assert json.loads((folder / "generation_config.json").read_text())["top_k"] == 7


def test_what_runs_is_told_as_the_checkpoint_and_vllm_have_it(load: Load) -> None:
    info = load().info

    assert (info.model, info.engine, info.context_length) == ("Llama", "vLLM 0.0.stand-in", 512)
    assert info.dtype == "bfloat16"
    assert info.defaults.temperature == 0.3
    assert info.defaults.top_k == 5
    assert info.defaults.repetition_penalty == 1.05


def test_a_llama_is_served_as_it_is(load: Load, llama: Path, tmp_path: Path) -> None:
    stages: list[Stage] = []
    engine = load({"tells": str(tmp_path / "options.json")}, stages)

    assert stages == ["starting"]
    assert json.loads((tmp_path / "options.json").read_text())["model"] == str(llama)
    assert ask(engine) == REPLY


def test_a_model_that_cannot_be_written_so_is_named_with_the_reason(load: Load, source: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    del config["max_position_embeddings"]  # the 13B models have none
    (source / "config.json").write_text(json.dumps(config))

    with pytest.raises(EngineError, match=r"^For vLLM, .* plain Llama model: .*13B.*not supported"):
        load(model=source)
    assert not list((source.parent / "models").iterdir())


def test_a_folder_of_that_name_that_is_no_export_is_left_alone(load: Load, source: Path) -> None:
    mine = source.parent / "models" / f"{source.name}-Llama" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    with pytest.raises(CheckpointError, match="is in the way"):
        load(model=source)
    assert mine.read_text() == "mine"


def test_a_disk_without_room_for_it_is_named(load: Load, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))

    with pytest.raises(CheckpointError, match="Make room, or choose another disk with BAICHUAN_MODELS_DIR"):
        load(model=source)


def test_vllm_that_fails_at_its_start_is_quoted_with_what_to_do(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    cause = "(EngineCore pid=7) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    with pytest.raises(EngineError) as error:
        load({"fails": cause})

    message = str(error.value)
    assert message.startswith("vLLM ended before it was ready (exit code 1). It says: torch.OutOfMemoryError: CUDA out")
    assert "Engine core initialization failed" not in message
    assert "nvidia-smi" in message
    assert_gone(*pids(caplog.text))


def test_more_options_reach_vllm(load: Load) -> None:
    with pytest.raises(EngineError, match=r"unrecognized arguments: --no-such.*Correct BAICHUAN_VLLM_OPTIONS"):
        load(vllm_options="--no-such thing")


def test_a_crash_in_mid_reply_costs_that_reply_alone(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    engine = load({"stalls": 1}, openai_retries=20)
    request = GenerationRequest([{"role": "user", "content": "你是谁"}], SamplingParams(max_new_tokens=64))
    events = iter(engine.generate(request))
    assert next(events) == Delta("百川")
    psutil.Process(pids(caplog.text)[0]).kill()
    with pytest.raises(EngineError, match=r"^vLLM broke off: .* What was written is kept"):
        list(events)

    assert next(event for event in engine.generate(request) if isinstance(event, Delta)) == Delta("百川")


def test_an_engine_that_is_closed_leaves_no_vllm(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    engine = load()
    engine.close()

    assert_gone(*pids(caplog.text))


def test_the_application_serves_through_it_and_kill_9_leaves_nothing(source: Path, tmp_path: Path) -> None:
    log = tmp_path / "data" / "server.log"
    log.parent.mkdir()
    environment = {
        "BAICHUAN_ENGINE": "vllm",
        "BAICHUAN_VLLM": str(STAND_IN),
        "BAICHUAN_MODEL": str(source),
        "BAICHUAN_MODELS_DIR": str(tmp_path / "models"),
    }
    with running_server(log, environment) as url:
        body = json.dumps({"prompt": "你是谁", "max_new_tokens": 64}).encode()
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert json.load(answer)["response"] == REPLY
        found = pids(log.read_text())
        guard = psutil.Process(found[0]).parent()
        assert guard is not None
        application = guard.parent()
        assert application is not None
        assert application.pid != os.getpid()
        application.kill()
        assert_gone(guard.pid, *found)


def test_nothing_is_left_of_an_application_that_ends_as_it_should(llama: Path, tmp_path: Path) -> None:
    log = tmp_path / "data" / "server.log"
    log.parent.mkdir()
    environment = {"BAICHUAN_ENGINE": "vllm", "BAICHUAN_VLLM": str(STAND_IN), "BAICHUAN_MODEL": str(llama)}
    with running_server(log, environment | {"BAICHUAN_MODELS_DIR": str(tmp_path / "models")}):
        found = pids(log.read_text())
        assert found

    assert not any(map(psutil.pid_exists, found))
