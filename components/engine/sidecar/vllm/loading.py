"""From the settings to an engine whose model runs in vLLM."""

import http.client
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from components.checkpoints.content import read_json_object
from components.checkpoints.locate import Checkpoint, find_checkpoint
from components.engine.interface import Engine, EngineInfo, Stage
from components.engine.remote.server import ServedModel
from components.engine.sidecar.engine import serve_through
from components.engine.sidecar.process import LOOPBACK, Endpoint
from components.engine.sidecar.sidecar import Sidecar
from components.engine.sidecar.vllm.checkpoint import readable_by_vllm
from components.engine.sidecar.vllm.command import launch_of
from components.engine.sidecar.vllm.environment import find_vllm
from components.engine.sidecar.vllm.failures import advise, quote
from components.engine.sidecar.vllm.gpus import read_gpus
from components.sampling.parameters import SamplingParams
from components.settings import Settings

NAME = "vLLM"

PATIENCE_SECONDS = 1800.0
"""It takes two to five minutes, the first time more, since it compiles; from a slow disk 15 GB take ten."""


def load_vllm(settings: Settings, on_stage: Callable[[Stage], None]) -> Engine:
    """Find or install vLLM, write the checkpoint for it if need be, start it and wait.

    Args:
        settings: which checkpoint, which vLLM, and how it is to run.
        on_stage: called as each stage begins.

    Raises:
        CheckpointError: there is no usable checkpoint, or no room on the disk.
        EngineError: vLLM cannot be had, does not read the checkpoint, or does not get ready.
    """
    checkpoint = find_checkpoint(settings)
    gpus = read_gpus()
    program = find_vllm(settings, gpus, on_stage)
    folder = readable_by_vllm(checkpoint, settings, on_stage)
    on_stage("starting")
    sidecar = Sidecar(
        NAME,
        lambda endpoint: launch_of(program, folder, checkpoint.name, endpoint, settings, gpus),
        patience=PATIENCE_SECONDS,
        advice=advise,
        quote=quote,
    )
    device = gpus[0].name if gpus else "cpu"
    return serve_through(sidecar, settings, lambda model: _info(checkpoint, settings, model, device, sidecar.endpoint))


def _info(
    checkpoint: Checkpoint, settings: Settings, model: ServedModel, device: str, endpoint: Endpoint | None
) -> EngineInfo:
    config = read_json_object(checkpoint.path / "config.json")
    context_length = model.max_model_len or settings.openai_context_length
    dtype = settings.dtype if settings.dtype != "auto" else config.get("dtype") or config.get("torch_dtype") or "auto"
    version = _version(endpoint) if endpoint else ""
    return EngineInfo(
        model=checkpoint.name,
        is_demo=checkpoint.is_demo,
        device=device,
        dtype=str(dtype),
        context_length=context_length,
        defaults=_defaults(checkpoint).fitting(context_length),
        engine=f"{NAME} {version}".strip(),
    )


def _defaults(checkpoint: Checkpoint) -> SamplingParams:
    """The checkpoint's own sampling parameters."""
    file = checkpoint.path / "generation_config.json"
    values: dict[str, Any] = {"do_sample": None} | (read_json_object(file) if file.exists() else {})
    return SamplingParams.from_generation_config(cast("Any", SimpleNamespace(**values)))


def _version(endpoint: Endpoint) -> str:
    """Which vLLM it is; nothing if it does not tell."""
    connection = http.client.HTTPConnection(LOOPBACK, endpoint.port, timeout=10)
    try:
        connection.request("GET", "/version")
        return str(json.loads(connection.getresponse().read())["version"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""
    finally:
        connection.close()
