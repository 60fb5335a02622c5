"""vLLM beside the application, from the settings to a reply. A stand-in takes vLLM's place."""

import json
import os
import shutil
import urllib.request
from pathlib import Path

import psutil
import pytest

from components.checkpoints.errors import CheckpointError
from components.engine.errors import EngineError
from components.engine.events import Delta
from components.engine.interface import Engine, GenerationRequest, Stage
from components.model.export.gguf_file import export_gguf
from components.sampling.parameters import SamplingParams
from tests.engine.sidecar.test_sidecar import assert_gone, pids, told
from tests.engine.sidecar.vllm.conftest import NAME, REPLY, STAND_IN, Load
from tests.engine.sidecar.vllm.test_environment import make_program
from tests.server import running_server
from tests.tiny import TINY_PATH


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the tiny Baichuan checkpoint."""
    return Path(shutil.copytree(TINY_PATH, tmp_path / NAME))


def ask(engine: Engine) -> str:
    request = GenerationRequest([{"role": "user", "content": "你是谁"}], SamplingParams(max_new_tokens=64))
    return "".join(event.text for event in engine.generate(request) if isinstance(event, Delta))


def test_a_baichuan_checkpoint_is_written_as_a_llama_once_until_it_changes(
    load: Load, source: Path, tmp_path: Path
) -> None:
    stages: list[Stage] = []
    mine = {"model": source, "models_dir": tmp_path / "models"}
    first = load({"tells": str(tmp_path / "options.json")}, stages, **mine)

    assert stages == ["exporting", "starting"]
    assert ask(first) == REPLY
    options = json.loads((tmp_path / "options.json").read_text())
    folder = Path(options["model"])
    assert folder == tmp_path / "models" / f"{NAME}-Llama"
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    assert options["served_model_name"] == NAME
    assert options["host"] == "127.0.0.1"
    first.close()

    stages.clear()
    again = load(stages=stages, **mine)
    assert stages == ["starting"]
    assert ask(again) == REPLY
    again.close()

    values = json.loads((source / "generation_config.json").read_text())
    (source / "generation_config.json").write_text(json.dumps(values | {"top_k": 7}))
    stages.clear()
    load(stages=stages, **mine)
    assert stages == ["exporting", "starting"]
    assert json.loads((folder / "generation_config.json").read_text())["top_k"] == 7


def test_what_runs_is_told_as_the_checkpoint_and_vllm_have_it(load: Load) -> None:
    info = load().info

    assert (info.model, info.engine, info.context_length) == (NAME, "vLLM 0.0.stand-in", 256)
    assert info.dtype == "bfloat16"
    assert info.defaults.temperature == 0.3
    assert info.defaults.top_k == 5
    assert info.defaults.repetition_penalty == 1.05


def test_a_llama_is_served_as_it_is(load: Load, models: Path, tmp_path: Path) -> None:
    llama = models / f"{NAME}-Llama"
    stages: list[Stage] = []
    engine = load({"tells": str(tmp_path / "options.json")}, stages, model=llama)

    assert stages == ["starting"]
    assert json.loads((tmp_path / "options.json").read_text())["model"] == str(llama)
    assert ask(engine) == REPLY


NVIDIA_SMI = """#!/bin/sh
echo 'GPU-00000000, NVIDIA T4, 15360, 15300'
echo 'GPU-11111111, NVIDIA A100, 40960, 40700'
echo 'GPU-22222222, NVIDIA A100, 40960, 8192'
echo 'GPU-33333333, NVIDIA A100, 40960, 20480'
"""


@pytest.mark.parametrize(
    ("device", "visible", "share"),
    [(None, "3", 0.47), (None, "2,3", 0.17), ("cuda:1", "3", 0.47), ("cuda:1", "GPU-22222222", 0.17)],
    ids=["the first that is left", "the first of several", "the second that is left", "the second by its name"],
)
def test_the_card_that_is_used_is_the_one_that_is_measured(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | None, visible: str, share: float
) -> None:
    make_program(tmp_path / "bin" / "nvidia-smi", NVIDIA_SMI)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible if device is None else f"1,{visible}")

    engine = load({"tells": str(tmp_path / "options.json")}, device=device)

    told = json.loads((tmp_path / "options.json").read_text())
    assert told["CUDA_VISIBLE_DEVICES"] == visible
    assert told["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert told["gpu_memory_utilization"] == share
    assert engine.info.device == "NVIDIA A100"


def test_a_gguf_file_is_not_for_vllm(load: Load, tmp_path: Path, models: Path) -> None:
    export_gguf(models / NAME, tmp_path / "tiny.gguf", "f32")

    with pytest.raises(CheckpointError, match=r"which llama.cpp runs and vLLM does not. Leave BAICHUAN_ENGINE out"):
        load(model=tmp_path / "tiny.gguf")


def test_a_model_that_cannot_be_written_so_is_named_with_the_reason(load: Load, source: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    del config["max_position_embeddings"]  # the 13B models have none
    (source / "config.json").write_text(json.dumps(config))

    with pytest.raises(CheckpointError, match=r"13B.*not supported"):
        load(model=source, models_dir=source.parent / "models")
    assert not (source.parent / "models").exists()


def test_a_folder_of_that_name_that_is_no_export_is_left_alone(load: Load, source: Path) -> None:
    mine = source.parent / "models" / f"{source.name}-Llama" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    with pytest.raises(CheckpointError, match="is in the way"):
        load(model=source, models_dir=source.parent / "models")
    assert mine.read_text() == "mine"


def test_a_disk_without_room_for_it_is_named(load: Load, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))

    with pytest.raises(CheckpointError, match="Make room, or choose another disk with BAICHUAN_MODELS_DIR"):
        load(model=source, models_dir=source.parent / "models")


def test_vllm_that_fails_at_its_start_is_quoted_with_what_to_do(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    cause = "(EngineCore pid=7) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    with pytest.raises(EngineError) as error:
        load({"fails": cause})

    message = str(error.value)
    assert message.startswith("vLLM ended before it was ready (exit code 1). It says: torch.OutOfMemoryError: CUDA out")
    assert "Engine core initialization failed" not in message
    assert "nvidia-smi" in message
    assert_gone(*told(caplog))


def test_more_options_reach_vllm(load: Load) -> None:
    with pytest.raises(EngineError, match=r"unrecognized arguments: --no-such.*Correct BAICHUAN_VLLM_OPTIONS"):
        load(vllm_options="--no-such thing")


def test_the_application_serves_through_it_and_kill_9_leaves_nothing(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "data" / "server.log"
    log.parent.mkdir()
    environment = {
        "BAICHUAN_ENGINE": "vllm",
        "BAICHUAN_VLLM": str(STAND_IN),
        "BAICHUAN_MODEL": str(models / NAME),
        "BAICHUAN_MODELS_DIR": str(models),
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


def test_nothing_is_left_of_an_application_that_ends_as_it_should(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "data" / "server.log"
    log.parent.mkdir()
    environment = {"BAICHUAN_ENGINE": "vllm", "BAICHUAN_VLLM": str(STAND_IN), "BAICHUAN_MODELS_DIR": str(models)}
    with running_server(log, environment):
        found = pids(log.read_text())
        assert found

    assert not any(map(psutil.pid_exists, found))
