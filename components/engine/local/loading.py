"""From the settings to a running engine."""

import logging
from collections.abc import Callable

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from components.checkpoints.locate import find_checkpoint
from components.engine.fingerprinting import learn_fingerprint
from components.engine.interface import Engine, EngineInfo, GenerationRequest, Stage
from components.engine.local.block_pool import BLOCK
from components.engine.local.engine import LocalEngine, defaults_of
from components.engine.local.llama_runner import LlamaRunner
from components.engine.local.plain_runner import PlainRunner
from components.engine.local.runner import Runner
from components.model.limits import available_memory, usable_cores
from components.model.loading import load_model
from components.model.quantization import Int8Linear
from components.sampling.parameters import SamplingParams
from components.settings import Settings, get_settings

logger = logging.getLogger(__name__)

FEWEST_BLOCKS = 4
"""Enough to answer that a question is too long."""


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
    model, tokenizer = load_model(
        checkpoint.path, settings.dtype, settings.device, settings.quantize, settings.data_dir
    )
    engine = build_engine(model, tokenizer, settings, checkpoint.name, checkpoint.is_demo)
    on_stage("warm_up")
    warm_up = SamplingParams(temperature=0.0, max_new_tokens=2)
    for _ in engine.generate(GenerationRequest([{"role": "user", "content": "Hi"}], warm_up)):
        pass
    learn_fingerprint(engine, checkpoint.path, settings.data_dir)
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
    runner: Runner
    if settings.engine == "local" and LlamaRunner.can_run(model):
        runner, kind = LlamaRunner(model, settings.max_batch), "continuous batching"
    else:
        runner, kind = PlainRunner(model), "one reply at a time"
    blocks = affordable_blocks(runner, settings.cache_gb)
    context_length = min(runner.context_length, blocks * BLOCK)
    if context_length < runner.context_length:
        logger.warning("Memory for only %d tokens: conversations are cut there.", context_length)
    info = EngineInfo(
        model=name,
        is_demo=is_demo,
        device=_device_name(model.device),
        dtype=str(model.dtype).removeprefix("torch.") + (", int8" if quantized else ""),
        context_length=context_length,
        defaults=defaults_of(model.generation_config, context_length),
        engine=kind,
        vocabulary=runner.vocabulary,
    )
    return LocalEngine(model, tokenizer, runner, info, blocks, settings)


def affordable_blocks(runner: Runner, gigabytes: float | None) -> int:
    """How many blocks of keys and values fit into the memory for them: the setting's, else a part of what is free."""
    if gigabytes is not None:
        size = gigabytes * 1e9
    elif runner.device.type == "cuda":
        torch.cuda.empty_cache()  # what the weights were joined from is free, but not to whoever asks the driver
        size = 0.8 * (torch.cuda.mem_get_info(runner.device)[0] - runner.step_bytes)
    else:
        size = 0.25 * available_memory()
    return max(FEWEST_BLOCKS, int(size / (runner.bytes_per_token * BLOCK)))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device}, {torch.get_num_threads()} cores" if device.type == "cpu" else str(device)
