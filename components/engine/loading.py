"""From the settings to a running engine."""

import os
from collections.abc import Callable

import torch

from components.checkpoints.locate import find_checkpoint
from components.engine.host import Stage
from components.engine.interface import Engine, GenerationRequest
from components.engine.local import LocalEngine
from components.engine.sampling import SamplingParams
from components.model.loading import load_model
from components.settings import get_settings


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
    # The cores this process may use, which in a container are often fewer than the machine has.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model, tokenizer = load_model(checkpoint.path, settings.dtype, settings.device)
    on_stage("warm_up")
    engine = LocalEngine(model, tokenizer, checkpoint.name, checkpoint.is_demo, settings.max_queue)
    warm_up = SamplingParams(temperature=0.0, max_new_tokens=2)
    for _ in engine.generate(GenerationRequest([{"role": "user", "content": "Hi"}], warm_up)):
        pass
    return engine
