"""Which checkpoint runs."""

import json
import os
import shutil
from pathlib import Path

import pytest

from components.checkpoints.errors import CheckpointError
from components.checkpoints.locate import DEMO_NAME, find_checkpoint
from components.settings import Settings
from tests.tiny import TINY_PATH


def make_llama(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").touch()


def test_a_fetched_baichuan_goes_before_the_demo_model(tmp_path: Path) -> None:
    make_llama(tmp_path / DEMO_NAME)
    demo = find_checkpoint(Settings(models_dir=tmp_path))
    assert (demo.name, demo.is_demo) == (DEMO_NAME, True)

    shutil.copytree(TINY_PATH, tmp_path / "Baichuan2-7B-Chat")
    found = find_checkpoint(Settings(models_dir=tmp_path))
    assert (found.path, found.is_demo) == (tmp_path / "Baichuan2-7B-Chat", False)


def test_the_folder_that_the_settings_name_goes_before_everything(tmp_path: Path) -> None:
    shutil.copytree(TINY_PATH, tmp_path / "Baichuan2-7B-Chat")
    make_llama(tmp_path / "elsewhere" / "mine")

    found = find_checkpoint(Settings(models_dir=tmp_path, model=tmp_path / "elsewhere" / "mine"))
    assert (found.name, found.is_demo) == ("mine", False)


def test_a_folder_that_is_not_whole_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "Baichuan2-7B-Chat"
    shutil.copytree(TINY_PATH, folder)
    (folder / "pytorch_model.bin").unlink()

    with pytest.raises(CheckpointError, match=r"python download\.py"):
        find_checkpoint(Settings(models_dir=tmp_path))
    with pytest.raises(CheckpointError, match="no weights"):
        find_checkpoint(Settings(models_dir=tmp_path, model=folder))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "Baichuan2-7B-Chat"
    shutil.copytree(TINY_PATH, folder)
    (folder / "pytorch_model.bin").rename(folder / "pytorch_model-00001-of-00002.bin")
    index = {"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))

    with pytest.raises(CheckpointError, match="00002-of-00002"):
        find_checkpoint(Settings(models_dir=tmp_path, model=folder))


def test_a_download_under_way_is_no_checkpoint(tmp_path: Path) -> None:
    shutil.copytree(TINY_PATH, tmp_path / ".partial" / "Baichuan2-7B-Chat")

    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        find_checkpoint(Settings(models_dir=tmp_path))


def test_a_file_in_place_of_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Name the folder that holds"):
        find_checkpoint(Settings(models_dir=tmp_path, model=TINY_PATH / "pytorch_model.bin"))


def test_a_quantized_baichuan_is_taken_only_if_there_is_no_other(tmp_path: Path) -> None:
    for name in ("Baichuan2-7B-Chat", "Baichuan2-7B-Chat-4bits"):  # the newest last
        shutil.copytree(TINY_PATH, tmp_path / name)
    file = tmp_path / "Baichuan2-7B-Chat-4bits" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": {"load_in_4bit": True}}))
    os.utime(file.parent, (2**31, 2**31))

    assert find_checkpoint(Settings(models_dir=tmp_path)).name == "Baichuan2-7B-Chat"
    shutil.rmtree(tmp_path / "Baichuan2-7B-Chat")
    assert find_checkpoint(Settings(models_dir=tmp_path)).name == "Baichuan2-7B-Chat-4bits"


def test_a_folder_that_nobody_may_read_does_not_hide_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``lost+found`` on a disk of its own; root may read it, so the refusal is made here."""
    shutil.copytree(TINY_PATH, tmp_path / "Baichuan2-7B-Chat")
    (tmp_path / "lost+found").mkdir()
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if "lost+found" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert find_checkpoint(Settings(models_dir=tmp_path)).name == "Baichuan2-7B-Chat"


def test_a_broken_folder_beside_it_does_not_hide_a_checkpoint(tmp_path: Path) -> None:
    shutil.copytree(TINY_PATH, tmp_path / "Baichuan2-7B-Chat")
    for name, config in {"a": b"[1]", "b": b"\xff", "c": b"", "d": b"{}"}.items():
        shutil.copytree(TINY_PATH, tmp_path / name)
        (tmp_path / name / "config.json").write_bytes(config)

    assert find_checkpoint(Settings(models_dir=tmp_path)).name == "Baichuan2-7B-Chat"
