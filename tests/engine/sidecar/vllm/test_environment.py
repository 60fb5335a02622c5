"""Where vLLM comes from. Environments are really made and packages really installed: a small one named vllm."""

import logging
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components.checkpoints.errors import CheckpointError
from components.engine.errors import EngineError
from components.engine.interface import Stage
from components.engine.sidecar.vllm import environment
from components.engine.sidecar.vllm.environment import Program, find_vllm
from components.engine.sidecar.vllm.gpus import Gpu, read_gpus
from components.settings import Settings

CARD = Gpu("NVIDIA GeForce RTX 4090", 24564, 24200, "GPU-8932f937")
METADATA = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.0.1\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Settings:
    """Of a machine without vLLM, whose package index is a folder."""
    caplog.set_level(logging.INFO, logger="components")
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "vllm").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    monkeypatch.setattr(environment, "REQUIREMENT", "vllm==0.0.1")
    monkeypatch.setattr(environment, "INSTALLED_BYTES", 1)
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / "vllm-0.0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("vllm/entrypoints/cli/main.py", "print('vllm runs')")
        wheel.writestr("vllm-0.0.1.dist-info/METADATA", METADATA)
        wheel.writestr("vllm-0.0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("vllm-0.0.1.dist-info/RECORD", "")
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(index)), ("PIP_CONFIG_FILE", os.devnull)):
        monkeypatch.setenv(name, value)
    return Settings(engine="vllm", data_dir=tmp_path / "data")


def find(settings: Settings, *gpus: Gpu) -> tuple[Program, list[Stage]]:
    stages: list[Stage] = []
    return find_vllm(settings, gpus, stages.append), stages


def left(settings: Settings) -> set[str]:
    """What lies in the folder for vLLM."""
    folder = settings.data_dir / "vllm"
    return {path.name for path in folder.iterdir()} - {".lock"} if folder.exists() else set()


def make_program(file: Path, text: str = "#!/bin/sh\n") -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def test_it_is_installed_once_into_an_environment_of_its_own(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    program, stages = find(settings, CARD)

    assert stages == ["installing"]
    said = subprocess.run(program.arguments, capture_output=True, text=True, check=True)
    assert said.stdout == "vllm runs\n"
    assert left(settings) == {"vllm-0.0.1"}
    assert Path(program.arguments[0]).resolve().name.startswith("python")
    assert "pip: Successfully installed vllm-0.0.1" in caplog.text

    again, stages = find(settings, CARD)
    assert again == program
    assert stages == []


def test_one_that_was_half_made_when_the_machine_went_off_is_made_anew(settings: Settings) -> None:
    half = settings.data_dir / "vllm" / ".vllm-0.0.1.partial" / "bin"
    half.mkdir(parents=True)
    (half / "python").write_text("half")

    program, _ = find(settings, CARD)
    assert left(settings) == {"vllm-0.0.1"}
    subprocess.run(program.arguments, capture_output=True, check=True)


def test_without_the_package_index_nothing_is_left_and_a_mirror_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")

    with pytest.raises(EngineError) as error:
        find(settings, CARD)
    assert str(error.value).startswith("vllm==0.0.1 could not be installed (exit code 1). Its last lines: ")
    assert "No matching distribution found for vllm==0.0.1" in str(error.value)
    assert "PIP_INDEX_URL names another" in str(error.value)
    assert left(settings) == set()


def test_an_environment_that_cannot_be_made_is_said_with_the_reason(settings: Settings) -> None:
    in_the_way = settings.data_dir / "vllm" / ".vllm-0.0.1.partial"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("no folder")

    with pytest.raises(EngineError, match=r"No virtual environment can be made for vLLM .*python3-venv"):
        find(settings, CARD)


def test_a_disk_without_room_is_named_before_anything_is_fetched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "INSTALLED_BYTES", 10**18)

    with pytest.raises(CheckpointError, match=r"free disk are needed .* choose another disk with BAICHUAN_DATA_DIR"):
        find(settings, CARD)
    assert left(settings) == set()


def test_without_a_card_nothing_is_installed(settings: Settings) -> None:
    with pytest.raises(EngineError, match=r"needs an NVIDIA GPU.*name its program in BAICHUAN_VLLM; else leave"):
        find(settings)
    assert left(settings) == set()


def test_a_python_that_vllm_does_not_run_on_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PYTHONS", ((3, 1), (3, 2)))

    with pytest.raises(EngineError, match=rf"runs on Python 3\.1 to 3\.2, and this is 3\.{sys.version_info[1]}"):
        find(settings, CARD)
    assert left(settings) == set()


def test_the_one_in_the_path_is_taken_on_any_machine(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = make_program(tmp_path / "bin" / "vllm")
    monkeypatch.setenv("PATH", f"{there.parent}:{os.environ['PATH']}")

    assert find(settings) == (Program((str(there),), there.parent), [])


def test_the_one_that_the_settings_name_is_taken_first(settings: Settings, tmp_path: Path) -> None:
    named = make_program(tmp_path / "mine" / "vllm")

    assert find(settings.model_copy(update={"vllm": named}))[0].arguments == (str(named),)


def test_what_is_no_program_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"BAICHUAN_VLLM=.* is no program. Name vLLM's"):
        find(settings.model_copy(update={"vllm": tmp_path}))


def test_cards_are_read_from_their_drivers_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(make_program(tmp_path / "bin" / "nvidia-smi").parent))
    assert read_gpus() == []
    make_program(
        tmp_path / "bin" / "nvidia-smi", "#!/bin/sh\necho 'GPU-8932f937, NVIDIA GeForce RTX 4090, 24564, 24200'\n"
    )
    assert read_gpus() == [CARD]
    make_program(tmp_path / "bin" / "nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    assert read_gpus() == []
