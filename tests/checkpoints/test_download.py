"""``python download.py`` with the hubs' real clients, in a process of its own, against a hub on loopback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.checkpoints.locate import is_complete
from tests.checkpoints.hub_server import MODEL, HubServer
from tests.server import ROOT, free_port

WEIGHTS = "pytorch_model.bin"
SOURCES = ["modelscope", "huggingface"]

Run = Callable[..., subprocess.CompletedProcess[str]]


def command_line(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "download.py", "--model", MODEL, "--dir", str(folder / "models"), *arguments]


def environment(folder: Path, url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BAICHUAN_", "HF_"))}
    home = {"HOME": str(folder), "MODELSCOPE_CACHE": str(folder / "cache"), "HF_HOME": str(folder / "cache")}
    return inherited | home | {"MODELSCOPE_ENDPOINT": url, "HF_ENDPOINT": url}


@pytest.fixture
def download(tmp_path: Path, hub: HubServer) -> Run:
    def run(*arguments: str, url: str = "", **options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(tmp_path, *arguments),
            cwd=ROOT,
            env=environment(tmp_path, url or hub.url) | options,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / MODEL.split("/")[1]


def assert_same_files(hub: HubServer, folder: Path) -> None:
    assert is_complete(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".download.json"} == {
        name: content for name, content in hub.files.items() if not name.endswith(".py")
    }


def assert_one_clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in last


@pytest.mark.parametrize("source", SOURCES)
def test_a_checkpoint_arrives_whole_and_without_code_and_only_once(
    source: str, download: Run, hub: HubServer, target: Path
) -> None:
    assert download("--source", source).returncode == 0
    assert_same_files(hub, target)
    assert [path.name for path in target.parent.iterdir()] == [target.name], "nothing else is left behind"

    hub.requests.clear()
    again = download("--source", source)
    assert again.returncode == 0
    assert "Nothing to download" in again.stdout
    assert not hub.requests


@pytest.mark.parametrize("source", SOURCES)
def test_a_connection_that_is_cut_is_taken_up_where_it_was_cut(
    source: str, download: Run, hub: HubServer, target: Path
) -> None:
    hub.cut(WEIGHTS, after=1_000_000, times=2)

    assert download("--source", source).returncode == 0
    assert_same_files(hub, target)
    if source == "modelscope":  # the other client keeps only whole blocks of 10 MB
        assert hub.served[WEIGHTS] == len(hub.files[WEIGHTS]), "no byte came twice"


@pytest.mark.parametrize("source", SOURCES)
def test_a_damaged_file_is_fetched_again(source: str, download: Run, hub: HubServer, target: Path) -> None:
    hub.damaged[WEIGHTS] = 1

    assert download("--source", source).returncode == 0
    assert_same_files(hub, target)


@pytest.mark.parametrize("source", SOURCES)
def test_a_file_that_is_damaged_every_time_leaves_no_checkpoint(
    source: str, download: Run, hub: HubServer, target: Path
) -> None:
    hub.damaged[WEIGHTS] = 99

    assert_one_clear_line(download("--source", source), WEIGHTS, "damaged")
    assert not target.exists()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", [["--model", "nobody/nothing"], ["--revision", "v9"]], ids=["model", "revision"])
def test_a_wrong_name_is_said_so(source: str, wrong: list[str], download: Run, target: Path) -> None:
    assert_one_clear_line(download("--source", source, *wrong), wrong[1], "--model")
    assert not target.parent.exists()


@pytest.mark.parametrize("source", SOURCES)
def test_no_network_is_said_so(source: str, download: Run, target: Path) -> None:
    done = download("--source", source, url=f"http://127.0.0.1:{free_port()}")

    assert_one_clear_line(done, "could not be reached", "network")
    assert not target.parent.exists()


def test_a_download_that_was_killed_goes_on_where_it_stopped(
    tmp_path: Path, download: Run, hub: HubServer, target: Path
) -> None:
    hub.held = WEIGHTS
    process = subprocess.Popen(
        command_line(tmp_path), cwd=ROOT, env=environment(tmp_path, hub.url), stderr=subprocess.DEVNULL
    )
    half = target.parent / ".partial" / target.name / (WEIGHTS + ".incomplete")
    deadline = time.monotonic() + 60
    while not (half.exists() and half.stat().st_size > 1_000_000):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not target.exists()
    kept = half.stat().st_size

    hub.release.set()
    hub.served.clear()
    assert download().returncode == 0
    assert_same_files(hub, target)
    assert hub.served[WEIGHTS] == len(hub.files[WEIGHTS]) - kept


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, hub: HubServer, target: Path) -> None:
    hub.held = WEIGHTS
    process = subprocess.Popen(
        command_line(tmp_path), cwd=ROOT, env=environment(tmp_path, hub.url), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while WEIGHTS not in hub.served:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    hub.release.set()
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert not target.exists()


def test_another_revision_takes_the_place_of_the_one_that_was_there(
    download: Run, hub: HubServer, target: Path
) -> None:
    assert download().returncode == 0
    hub.files["generation_config.json"] = b'{"temperature": 0.5}'

    assert download("--revision", "v1.0.4").returncode == 0
    assert_same_files(hub, target)


def test_a_folder_of_the_users_own_is_never_replaced(download: Run, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")

    assert_one_clear_line(download(), str(target), "Move it away")
    assert (target / "notes.txt").read_text() == "mine"


def test_a_full_disk_is_said_before_anything_is_fetched(download: Run, hub: HubServer, target: Path) -> None:
    hub.claimed_sizes[WEIGHTS] = 10**15

    assert_one_clear_line(download(), "free", "--dir")
    assert not target.exists()
    assert not hub.served


def test_a_repository_that_is_no_checkpoint_is_said_so(download: Run, hub: HubServer, target: Path) -> None:
    del hub.files["config.json"]

    assert_one_clear_line(download(), "config.json")
    assert not target.exists()


def test_weights_that_the_repository_lacks_are_named(download: Run, hub: HubServer, target: Path) -> None:
    del hub.files[WEIGHTS]

    assert_one_clear_line(download(), "no weights")
    assert not target.exists()


def test_if_none_leaves_a_checkpoint_that_is_there_alone(tmp_path: Path, download: Run, hub: HubServer) -> None:
    assert download().returncode == 0
    hub.requests.clear()

    done = download("--if-none", BAICHUAN_MODELS_DIR=str(tmp_path / "models"))
    assert done.returncode == 0
    assert "Using" in done.stdout
    assert not hub.requests


def test_if_none_fetches_nothing_for_a_model_that_another_server_has(
    tmp_path: Path, download: Run, hub: HubServer
) -> None:
    done = download(
        "--if-none",
        BAICHUAN_MODELS_DIR=str(tmp_path / "models"),
        BAICHUAN_ENGINE="openai",
        BAICHUAN_OPENAI_BASE_URL="http://127.0.0.1:8000/v1",
    )
    assert done.returncode == 0
    assert "127.0.0.1:8000" in done.stdout
    assert not hub.requests
    assert not (tmp_path / "models").exists()


def test_help_explains_every_option(download: Run) -> None:
    done = download("--help", COLUMNS="400")

    assert done.returncode == 0
    for word in (
        "--source",
        "--model",
        "--revision",
        "--dir",
        "--export-llama",
        "v1.0.4",
        "baichuan-inc/Baichuan2-7B-Chat",
    ):
        assert word in done.stdout


def test_the_demo_model_comes_without_a_hub(demo_model: Path) -> None:
    assert is_complete(demo_model)
    assert not list(demo_model.glob("*.py"))


def test_the_demo_model_without_network_is_said_so(download: Run, target: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/simple"

    done = download("--source", "demo", PIP_INDEX_URL=nowhere, PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0")
    assert_one_clear_line(done, "pip", "--source demo")
    assert not target.parent.joinpath("SmolLM2-135M-Instruct").exists()
