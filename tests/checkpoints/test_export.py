"""``python download.py --export-llama``, in a process of its own."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from gguf import GGUFReader, LlamaFileType

from components.checkpoints.locate import is_complete
from tests.checkpoints.hub_server import MODEL, HubServer
from tests.checkpoints.test_download import assert_one_clear_line, assert_same_files, environment
from tests.preloaded import run as run_preloaded
from tests.server import ROOT
from tests.tiny import TINY_PATH

Run = Callable[..., subprocess.CompletedProcess[str]]


def start(
    folder: Path, url: str, *arguments: object, program: Sequence[str] = ("download.py",)
) -> "subprocess.Popen[str]":
    command = [sys.executable, *program, "--dir", folder / "models", "--export-llama", folder / "out", *arguments]
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment(folder, url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def export(tmp_path: Path, source: Path, hub: HubServer) -> Run:
    """Exports the copy of the tiny checkpoint."""
    told = tmp_path / "told"
    told.mkdir()

    def run() -> "subprocess.CompletedProcess[str]":
        command = ["download.py", "--dir", tmp_path / "models", "--export-llama", tmp_path / "out", "--model", source]
        return run_preloaded([str(word) for word in command], environment(tmp_path, hub.url), ROOT, told)

    return run


@pytest.fixture
def fetch_and_export(tmp_path: Path, hub: HubServer) -> Run:
    """The same of a name, by a process that reads from its environment where the hub is."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        process = start(tmp_path, hub.url, *arguments)
        output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint to take apart."""
    return Path(shutil.copytree(TINY_PATH, tmp_path / "source"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def assert_exported(out: Path) -> None:
    assert is_complete(out)
    assert json.loads((out / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    assert not list(out.parent.glob(".out*"))


def test_a_folder_is_exported_without_any_hub(export: Run, hub: HubServer, source: Path, out: Path) -> None:
    done = export()

    assert done.returncode == 0, done.stderr
    assert f"vllm serve {out}" in done.stdout
    assert_exported(out)
    assert not hub.requests


def test_a_name_is_fetched_first_and_the_original_is_kept(
    fetch_and_export: Run, hub: HubServer, tmp_path: Path, out: Path
) -> None:
    assert fetch_and_export("--model", MODEL, "--source", "huggingface").returncode == 0

    assert_same_files(hub, tmp_path / "models" / MODEL.split("/")[1])
    assert_exported(out)
    assert {file.name for file in out.glob("*.pdf")} == {name for name in hub.files if name.endswith(".pdf")}


def test_a_folder_of_the_users_own_is_never_replaced_and_nothing_is_fetched_for_it(
    fetch_and_export: Run, hub: HubServer, out: Path
) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")

    assert_one_clear_line(fetch_and_export("--model", MODEL), str(out), "Move it away")
    assert [file.read_text() for file in out.iterdir()] == ["mine"]
    assert not hub.requests


def test_a_checkpoint_is_never_replaced_by_its_own_export(tmp_path: Path, hub: HubServer, source: Path) -> None:
    process = start(tmp_path, hub.url, "--model", source, "--export-llama", source)
    process.communicate(timeout=120)

    assert process.returncode == 1
    assert (source / "pytorch_model.bin").read_bytes() == (TINY_PATH / "pytorch_model.bin").read_bytes()


def test_an_empty_folder_is_filled_and_an_earlier_export_replaced(export: Run, source: Path, out: Path) -> None:
    out.mkdir()
    assert export().returncode == 0
    assert_exported(out)

    (out / "model.safetensors.index.json").unlink()
    (source / "generation_config.json").write_text('{"temperature": 0.5}')
    assert export().returncode == 0
    assert_exported(out)
    assert json.loads((out / "generation_config.json").read_text())["temperature"] == 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_position_embeddings": None}, ["13B", "Baichuan2-7B-Chat"]),
        ({"vocab_size": 64000}, ["first Baichuan", "Baichuan2-7B-Chat"]),
        ({"model_type": "llama"}, ["'llama'", "as it is", "vllm serve"]),
    ],
)
def test_what_cannot_be_exported_is_refused_with_what_to_do(
    export: Run, source: Path, out: Path, changes: dict[str, object], words: list[str]
) -> None:
    file = source / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))

    assert_one_clear_line(export(), *words)
    assert not out.exists()


def test_a_folder_that_is_not_whole_is_refused(export: Run, source: Path, out: Path) -> None:
    (source / "pytorch_model.bin").unlink()

    assert_one_clear_line(export(), str(source), "no weights")
    assert not out.exists()


def test_a_full_disk_is_said_before_anything_is_written(export: Run, source: Path, out: Path) -> None:
    os.truncate(source / "pytorch_model.bin", 10**13)  # sparse

    assert_one_clear_line(export(), "free", "--export-llama")
    assert not out.exists()
    assert not list(out.parent.glob(".out*"))


HOLDING = """
import sys, time
import components.model.export.folder as export

def hold(*_):
    time.sleep(600)

export._write_tokenizer = hold
import download
sys.exit(download.main())
"""


def start_and_hold(folder: Path, url: str, source: Path) -> "subprocess.Popen[str]":
    """Start an export that has written its weights and does not come to the rest of the checkpoint."""
    process = start(folder, url, "--model", source, program=["-c", HOLDING])
    deadline = time.monotonic() + 120
    while not (folder / ".out.partial" / "model.safetensors.index.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_killed_export_leaves_no_checkpoint_and_the_next_one_cleans_up(
    tmp_path: Path, export: Run, hub: HubServer, source: Path, out: Path
) -> None:
    process = start_and_hold(tmp_path, hub.url, source)
    process.kill()
    process.communicate()
    assert not out.exists()
    assert not any(is_complete(folder) for folder in tmp_path.iterdir() if folder != source)

    assert export().returncode == 0
    assert_exported(out)


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, hub: HubServer, source: Path, out: Path) -> None:
    process = start_and_hold(tmp_path, hub.url, source)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert not out.exists()
    assert not list(tmp_path.glob(".out*"))


def test_fetching_does_not_wait_for_what_only_exporting_needs() -> None:
    code = "import sys, download; sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def gguf(
    folder: Path, url: str, *arguments: object, program: Sequence[str] = ("download.py",), limit: int | None = None
) -> subprocess.CompletedProcess[str]:
    """``limit`` is how many bytes a file may have."""
    command = [sys.executable, *program, "--dir", folder / "models", "--export-gguf", folder / "out.gguf"]
    return subprocess.run(
        [str(word) for word in (*command, *arguments)],
        cwd=ROOT,
        env=environment(folder, url),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit_of_files(limit),
    )


def limit_of_files(size: int | None) -> Callable[[], None] | None:
    return None if size is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_name_is_fetched_and_written_as_gguf(tmp_path: Path, hub: HubServer) -> None:
    done = gguf(tmp_path, hub.url, "--model", MODEL, "--source", "huggingface", "--type", "f16")

    assert done.returncode == 0, done.stderr
    assert f"--model {tmp_path / 'out.gguf'}" in done.stdout
    fields = GGUFReader(tmp_path / "out.gguf").fields
    assert fields["general.architecture"].contents() == "llama"
    assert fields["general.name"].contents() == MODEL.split("/")[1]
    assert fields["general.file_type"].contents() == LlamaFileType.MOSTLY_F16
    assert not list(tmp_path.glob(".out*"))


def test_nothing_is_fetched_for_a_gguf_file_that_is_there(tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "out.gguf").write_text("mine")

    assert_one_clear_line(gguf(tmp_path, hub.url, "--model", MODEL), "out.gguf", "Move it away")
    assert (tmp_path / "out.gguf").read_text() == "mine"
    assert not hub.requests


FILLING = """
import sys
from gguf import GGUFWriter

write = GGUFWriter.write_tensor_data

def write_to_a_full_disk(writer, *arguments):
    for file in writer.fout:
        file.close()
    writer.fout = [open("/dev/full", "wb")]
    write(writer, *arguments)

GGUFWriter.write_tensor_data = write_to_a_full_disk
import download
sys.exit(download.main())
"""


def test_a_disk_that_fills_up_while_a_gguf_file_is_written_is_said_with_what_is_needed(
    tmp_path: Path, hub: HubServer, source: Path
) -> None:
    done = gguf(tmp_path, hub.url, "--model", source, program=["-c", FILLING])

    said = rf"Error: {tmp_path}/out\.gguf cannot be written: the disk is full\. [\d.]+ [kM]B are needed in {tmp_path}\."
    assert re.search(said, done.stderr)
    assert_one_clear_line(done, "Make room, or choose another disk with --export-gguf.")
    assert not list(tmp_path.glob("*out*"))


def test_a_file_system_that_takes_no_file_of_that_size_is_said(tmp_path: Path, hub: HubServer, source: Path) -> None:
    done = gguf(tmp_path, hub.url, "--model", source, limit=100_000)

    assert_one_clear_line(done, "out.gguf cannot be written: File too large.", f"are needed in {tmp_path}")
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_is_said_in_the_same_way(tmp_path: Path, hub: HubServer, source: Path, out: Path) -> None:
    command = [sys.executable, "download.py", "--model", source, "--export-llama", out]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment(tmp_path, hub.url),
        capture_output=True,
        text=True,
        preexec_fn=limit_of_files(100_000),
    )

    assert_one_clear_line(done, f"{out} cannot be written: File too large.", f"are needed in {tmp_path}")
    assert not list(tmp_path.glob("*out*"))


def test_a_place_where_nobody_may_write_is_named(tmp_path: Path, hub: HubServer, source: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = gguf(tmp_path, hub.url, "--model", source, "--export-gguf", tmp_path / "file" / "out.gguf")

    assert_one_clear_line(done, f"{tmp_path}/file/out.gguf", "Not a directory")
