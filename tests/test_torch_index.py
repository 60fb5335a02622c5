"""On a machine without an NVIDIA GPU PyTorch is installed without CUDA, where that can be had."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT


@pytest.fixture
def index() -> Iterator[str]:
    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/cpu/torch/" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/cpu"
    server.shutdown()
    server.server_close()


def chosen(tmp_path: Path, index: str, **environment: str) -> str:
    """What the script prints on a machine that has no GPU, unless ``environment`` says otherwise."""
    for name in ("uname", "grep"):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(f"/bin/{name}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    machine = {"PATH": str(tmp_path), "NVIDIA_DEVICE": str(tmp_path / "nvidiactl"), "TORCH_INDEX": index}
    machine["PIP_CONFIG_FILE"] = os.devnull
    command = ["/bin/bash", str(ROOT / "scripts" / "torch-index"), sys.executable]
    output: str = subprocess.check_output(command, env=clean | machine | environment, text=True)
    return output.strip()


def test_without_a_gpu_the_index_without_cuda_is_taken(tmp_path: Path, index: str) -> None:
    assert chosen(tmp_path, index) == index


def test_with_a_gpu_the_usual_one_is(tmp_path: Path, index: str) -> None:
    (tmp_path / "nvidiactl").touch()
    assert chosen(tmp_path, index) == ""


def test_with_the_drivers_program_the_usual_one_is(tmp_path: Path, index: str) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/bash\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert chosen(tmp_path, index) == ""


def test_on_other_systems_the_usual_one_is(tmp_path: Path, index: str) -> None:
    (tmp_path / "uname").write_text("#!/bin/bash\necho Darwin\n")
    (tmp_path / "uname").chmod(0o755)
    assert chosen(tmp_path, index) == ""


@pytest.mark.parametrize("unreachable", ["http://127.0.0.1:9/cpu", "{index}/nothing"])
def test_an_index_that_cannot_be_reached_is_not_waited_for(tmp_path: Path, index: str, unreachable: str) -> None:
    assert chosen(tmp_path, unreachable.format(index=index)) == ""


def test_an_index_in_the_environment_is_left_alone(tmp_path: Path, index: str) -> None:
    assert chosen(tmp_path, index, PIP_EXTRA_INDEX_URL="http://127.0.0.1:9/mine") == ""


def test_nor_is_one_in_pips_configuration(tmp_path: Path, index: str) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nextra-index-url = http://127.0.0.1:9/mine\n")
    assert chosen(tmp_path, index, PIP_CONFIG_FILE=str(tmp_path / "pip.conf")) == ""
