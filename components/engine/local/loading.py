"""From the settings to a running engine."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from components.checkpoints.fingerprint import fingerprint
from components.checkpoints.locate import find_checkpoint
from components.engine.interface import Engine, EngineInfo, GenerationRequest, Stage
from components.engine.local.decoder import Decoder, PlainDecoder
from components.engine.local.engine import LocalEngine, defaults_of
from components.engine.local.llama_decoder import LlamaDecoder
from components.model.devices import usable_cores
from components.model.loading import load_model
from components.model.quantization import Int8Linear
from components.sampling.parameters import SamplingParams
from components.settings import Settings, get_settings

logger = logging.getLogger(__name__)


def load_engine(on_stage: Callable[[Stage], None]) -> Engine:
    """Load the checkpoint that the settings name, or the best one there is, and try it once.

    Args:
        on_stage: called as each stage begins.

    Raises:
        SettingsError: a setting is not acceptable.
        CheckpointError: there is no usable checkpoint.
        UnsupportedCheckpointError: the checkpoint is of a kind that cannot be run.
        LoadError: the checkpoint is broken.
    """
    settings = get_settings()
    checkpoint = find_checkpoint(settings)
    on_stage("weights")
    torch.set_num_threads(usable_cores())
    model, tokenizer = load_model(checkpoint.path, settings.dtype, settings.device, settings.quantize)
    engine = build_engine(model, tokenizer, settings, checkpoint.name, checkpoint.is_demo)
    on_stage("warm_up")
    warm_up = SamplingParams(temperature=0.0, max_new_tokens=2)
    for _ in engine.generate(GenerationRequest([{"role": "user", "content": "Hi"}], warm_up)):
        pass
    # In the background: reading all weights once more would keep those waiting who want to chat.
    threading.Thread(target=_add_fingerprint, args=(engine, checkpoint.path, settings.data_dir), daemon=True).start()
    return engine


def build_engine(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: Settings,
    name: str,
    is_demo: bool = False,
) -> LocalEngine:
    """An engine over a loaded model, whose weights it takes over.

    Args:
        model: as ``load_model`` gives it.
        tokenizer: the model's.
        settings: which engine, how many at once, how much memory.
        name: of the checkpoint, for people.
        is_demo: whether it is the demo model.
    """
    quantized = any(isinstance(module, Int8Linear) for module in model.modules())
    decoder: Decoder
    if settings.engine == "local" and LlamaDecoder.can_run(model):
        decoder, kind = LlamaDecoder(model), "continuous batching"
    else:
        decoder, kind = PlainDecoder(model), "one reply at a time"
    capacity = cache_tokens(decoder, settings.cache_gb, model.device)
    context_length = min(decoder.context_length, capacity)
    if context_length < decoder.context_length:
        logger.warning("Memory for only %d tokens: conversations are cut there.", context_length)
    info = EngineInfo(
        model=name,
        is_demo=is_demo,
        device=_device_name(model.device),
        dtype=str(model.dtype).removeprefix("torch.") + (", int8" if quantized else ""),
        context_length=context_length,
        defaults=defaults_of(model.generation_config, context_length),
        engine=kind,
    )
    return LocalEngine(model, tokenizer, decoder, info, capacity, settings)


def _add_fingerprint(engine: Engine, path: Path, data_dir: Path) -> None:
    try:
        engine.weights = fingerprint(path, data_dir)
    except OSError:  # the edge of the thread; receipts go on without it
        logger.exception("The fingerprint of the weights is not known")


def cache_tokens(decoder: Decoder, gigabytes: float | None, device: torch.device) -> int:
    """How many tokens fit into the memory for keys and values."""
    if gigabytes is not None:
        size = gigabytes * 1e9
    elif device.type == "cuda":
        size = 0.8 * torch.cuda.mem_get_info(device)[0]
    else:
        size = 0.25 * psutil.virtual_memory().available
    return max(64, int(size / decoder.bytes_per_token))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device}, {torch.get_num_threads()} cores" if device.type == "cpu" else str(device)
