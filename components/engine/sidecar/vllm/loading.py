"""From the settings to an engine whose model runs in vLLM."""

import contextlib
import json
import os
import re
from collections.abc import Callable

from openai import APIError

from components.checkpoints.errors import UnsupportedCheckpointError
from components.checkpoints.locate import find_checkpoint
from components.engine.fingerprinting import learn_fingerprint
from components.engine.interface import Engine, EngineInfo, Stage
from components.engine.remote.by_ids import EngineByIds
from components.engine.remote.failures import describe
from components.engine.remote.loop import LoopThread
from components.engine.remote.server import ServedModel, Server
from components.engine.sidecar.opening import started
from components.engine.sidecar.sidecar import PAUSES, Sidecar
from components.engine.sidecar.vllm.checkpoint import readable_by_vllm
from components.engine.sidecar.vllm.command import launch_of
from components.engine.sidecar.vllm.dialect import VllmDialect
from components.engine.sidecar.vllm.environment import find_vllm
from components.engine.sidecar.vllm.failures import advise, quote
from components.engine.sidecar.vllm.gpus import card_of, read_gpus
from components.engine.sidecar.vllm.vocabulary import read_vocabulary
from components.settings import Settings

NAME = "vLLM"

PATIENCE_SECONDS = 1800.0
"""It takes two to five minutes, the first time more, since it compiles; from a slow disk 15 GB take ten."""

_CACHE = re.compile(
    r"^vllm:cache_config_info\{(?=.*\bblock_size=\"(\d+)\")(?=.*\bnum_gpu_blocks=\"(\d+)\")", re.MULTILINE
)


def load_vllm(settings: Settings, on_stage: Callable[[Stage], None]) -> Engine:
    """Find or install vLLM, write the checkpoint for it if need be, start it and wait.

    Args:
        settings: which checkpoint, which vLLM, and how it is to run.
        on_stage: called as each stage begins.

    Raises:
        CheckpointError: there is no usable checkpoint, or no room on the disk.
        MessagesError: the model was not made for chatting.
        EngineError: the card is not there, vLLM cannot be had, does not read the checkpoint, or does not get ready.
    """
    checkpoint = find_checkpoint(settings)
    if checkpoint.is_gguf:
        raise UnsupportedCheckpointError(
            f"{checkpoint.path} is a GGUF file, which llama.cpp runs and vLLM does not. Leave BAICHUAN_ENGINE out, or "
            "name a folder with the model in BAICHUAN_MODEL."
        )
    vocabulary, defaults, stored = read_vocabulary(checkpoint.path)
    gpus = read_gpus()
    card = card_of(settings.device, gpus, os.environ)
    program = find_vllm(settings, gpus, on_stage)
    folder = readable_by_vllm(checkpoint, settings, on_stage)
    on_stage("starting")
    sidecar = Sidecar(
        NAME,
        lambda endpoint: launch_of(program, folder, checkpoint.name, endpoint, settings, card),
        patience=PATIENCE_SECONDS,
        advice=advise,
        quote=quote,
        pauses=PAUSES,
        again="in a few minutes",
    )
    with started(sidecar, settings) as (server, loop):
        model, version, capacity = _ask(loop, server, checkpoint.name)
        context_length = model.max_model_len or settings.openai_context_length
        info = EngineInfo(
            model=checkpoint.name,
            is_demo=checkpoint.is_demo,
            device=card.gpu.name if card.gpu else "cuda" if gpus else "cpu",
            dtype=stored if settings.dtype == "auto" else settings.dtype,
            context_length=context_length,
            defaults=defaults.fitting(context_length),
            engine=f"{NAME} {version}",
            vocabulary=vocabulary.size,
            tells_logprobs=True,
        )
        dialect = VllmDialect(checkpoint.name, vocabulary.texts.written_out)
        capacity = capacity or context_length * settings.max_batch
        engine = EngineByIds(server, loop, info, settings, vocabulary, dialect, sidecar, capacity, {"vllm": version})
    learn_fingerprint(engine, checkpoint.path, settings.data_dir)
    return engine


def _ask(loop: LoopThread, server: Server, name: str) -> tuple[ServedModel, str, int | None]:
    """The model as vLLM lists it, which vLLM it is, and of how many tokens it holds keys and values, if it tells."""
    try:
        models = loop.run(server.models())
        version = json.loads(loop.run(server.get("/version")))["version"]
    except APIError as error:
        raise describe(error, server, name).error from error
    found = None
    with contextlib.suppress(APIError):
        found = _CACHE.search(loop.run(server.get("/metrics")))
    return models[0], str(version), int(found[1]) * int(found[2]) if found else None
