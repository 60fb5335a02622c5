"""How vLLM is called."""

import shlex
from pathlib import Path

from components.engine.sidecar.process import LOOPBACK, Endpoint, Launch
from components.engine.sidecar.vllm.environment import Program
from components.engine.sidecar.vllm.gpus import Card, Gpu
from components.settings import Settings

ALL_FREE = 0.95
"""A card of whose memory less is free is shared with something else."""

SPARE = 0.03
"""So much of a shared card's memory is left alone, besides what is taken."""

MOST_LOGPROBS = 20
"""So many of the likeliest tokens an API may ask for."""

QUIET = {
    "VLLM_LOGGING_COLOR": "0",
    "VLLM_NO_USAGE_STATS": "1",  # it would send some to its makers
    "HF_HUB_OFFLINE": "1",  # all that it needs is in the folder
}


def launch_of(program: Program, folder: Path, name: str, endpoint: Endpoint, settings: Settings, card: Card) -> Launch:
    """What starts vLLM.

    Args:
        program: vLLM.
        folder: the checkpoint as vLLM reads it.
        name: of the model, for its API.
        endpoint: where it is to listen, and the key that it is to ask for.
        settings: which numbers, how much memory, how many replies at once, and more options.
        card: which is to be used.
    """
    options = {
        "--host": LOOPBACK,
        "--port": str(endpoint.port),
        "--served-model-name": name,
        "--dtype": settings.dtype,
        "--max-model-len": "auto",  # the checkpoint's, or as much as fits the card
        "--max-num-seqs": str(settings.max_batch),
        "--max-logprobs": str(max(MOST_LOGPROBS, settings.kept_scores) + 1),
        "--uvicorn-log-level": "warning",  # else it has a line for every request
    }
    if settings.cache_gb is not None:
        options["--kv-cache-memory-bytes"] = str(int(settings.cache_gb * 1e9))
    elif card.gpu is not None and (share := _share(card.gpu)) is not None:
        options["--gpu-memory-utilization"] = f"{share:.2f}"
    environment = {**QUIET, **card.environment, "VLLM_API_KEY": endpoint.key.get_secret_value()}
    flat = [word for option in options.items() for word in option]
    flat.append("--enable-prompt-tokens-details")  # how many it knew already
    arguments = [*program.arguments, "serve", str(folder), *flat, *shlex.split(settings.vllm_options or "")]
    return Launch(arguments, environment, program.folder)


def _share(gpu: Gpu) -> float | None:
    """The part of a card's memory that vLLM may take, where something else has some of it."""
    free = gpu.free / gpu.total
    return None if free >= ALL_FREE else max(0.05, free - SPARE)
