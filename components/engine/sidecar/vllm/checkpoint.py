"""The checkpoint in a form that vLLM reads, which no longer knows Baichuan's."""

import sys
from collections.abc import Callable
from pathlib import Path

from components.checkpoints.content import read_json_object
from components.checkpoints.export_target import check_target, is_export_of
from components.checkpoints.fetch import check_free_disk
from components.checkpoints.locate import Checkpoint
from components.checkpoints.weight_files import weight_files
from components.engine.interface import Stage
from components.engine.sidecar.process import Process, last_words
from components.engine.sidecar.running import run
from components.engine.sidecar.vllm.environment import FOLDER, locked
from components.settings import Settings

DOWNLOAD = Path(__file__).parents[4] / "download.py"


def readable_by_vllm(checkpoint: Checkpoint, settings: Settings, on_stage: Callable[[Stage], None]) -> Path:
    """The folder for vLLM: the checkpoint's own, or an export of it, which is made if there is none of it as it is now.

    It is written by a process of its own, so that this one needs neither PyTorch nor the memory.

    Raises:
        EngineError: the checkpoint cannot be exported.
        CheckpointError: its configuration is damaged, something is in the way, or the disk has no room.
    """
    if read_json_object(checkpoint.path / "config.json").get("model_type") != "baichuan":
        return checkpoint.path
    target = settings.models_dir.absolute() / f"{checkpoint.name}-Llama"
    with locked(settings.data_dir / FOLDER):
        if not is_export_of(target, checkpoint.path):
            check_target(target)
            size = sum(file.stat().st_size for file in weight_files(checkpoint.path))
            target.parent.mkdir(parents=True, exist_ok=True)
            check_free_disk(size, target.parent, "BAICHUAN_MODELS_DIR")
            on_stage("exporting")
            source = checkpoint.path.absolute()
            command = [sys.executable, str(DOWNLOAD), "--model", str(source), "--export-llama", str(target)]
            run("export", command, _describe)
    return target


def _describe(process: Process) -> str:
    said = next((line for line in reversed(process.lines) if line.startswith("Error: ")), None)
    if said is None:
        said = f"{process.ending}. {last_words(process.lines)} The log says more."
    return f"For vLLM, the checkpoint must be written as a plain Llama model: {said.removeprefix('Error: ')}"
