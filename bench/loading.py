"""The checkpoint that the settings name, once for the plain loop and once for this application's engine."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from bench.targets import PlainTarget
from components.checkpoints.locate import Checkpoint
from components.engine.loading import build_engine
from components.engine.local import LocalEngine
from components.model.devices import usable_cores
from components.model.loading import load_model
from components.settings import Settings


@dataclass(frozen=True)
class Plain:
    """The plain loop, and what it runs, for people to read."""

    target: PlainTarget
    tokenizer: PreTrainedTokenizerBase
    dtype: str


def load_plain(settings: Settings, checkpoint: Checkpoint) -> Plain:
    """The forward pass of transformers, in the dtype that the application chooses, without int8."""
    torch.set_num_threads(usable_cores())
    model, tokenizer = load_model(checkpoint.path, settings.dtype, settings.device, "none")
    return Plain(PlainTarget(model, tokenizer), tokenizer, str(model.dtype).removeprefix("torch."))


def load_application_engine(settings: Settings, checkpoint: Checkpoint) -> LocalEngine:
    """The engine as the server loads it."""
    torch.set_num_threads(usable_cores())
    model, tokenizer = load_model(checkpoint.path, settings.dtype, settings.device, settings.quantize)
    return build_engine(model, tokenizer, settings, checkpoint.path, checkpoint.name, checkpoint.is_demo)
