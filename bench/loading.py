"""The checkpoint that the settings name, once for the plain loop and once for this application's engine."""

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bench.process import Loaded
from bench.targets import APPLICATION, EngineTarget, PlainTarget
from components.checkpoints.locate import Checkpoint
from components.engine.local.engine import LocalEngine
from components.engine.local.loading import build_engine
from components.model.limits import usable_cores
from components.model.loading import load_model, register_architecture
from components.settings import Settings

IN_FLOAT32 = f"{APPLICATION} in float32"


def load_plain(settings: Settings, checkpoint: Checkpoint) -> Loaded:
    """The forward pass of transformers, in the dtype that the application chooses, without int8."""
    torch.set_num_threads(usable_cores())
    model, tokenizer = load_model(checkpoint.path, settings.dtype, settings.device, "none")
    return Loaded(PlainTarget(model, tokenizer), str(model.dtype).removeprefix("torch."))


def load_application(settings: Settings, checkpoint: Checkpoint) -> Loaded:
    """The engine as the server loads it."""
    engine = load_engine(settings, checkpoint)
    return Loaded(EngineTarget(engine), engine.info.dtype, engine.close)


def load_in_float32(settings: Settings, checkpoint: Checkpoint) -> Loaded:
    """The engine without int8 and bfloat16: as it ran where there is no AVX-512, before it tried what is fast there.

    Beside that code, with AVX2 only, it was as fast: 1.01 times with one reader and 1.02 with eight.
    """
    engine = load_engine(settings.model_copy(update={"dtype": "float32", "quantize": "none"}), checkpoint)
    target = EngineTarget(engine)
    target.name = IN_FLOAT32
    return Loaded(target, engine.info.dtype, engine.close)


def load_engine(settings: Settings, checkpoint: Checkpoint) -> LocalEngine:
    """The same without anything around it."""
    return build_engine(*load_weights(settings, checkpoint), settings, checkpoint.name, checkpoint.is_demo)


def load_weights(settings: Settings, checkpoint: Checkpoint) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model that the engine takes over, and its tokenizer."""
    torch.set_num_threads(usable_cores())
    return load_model(checkpoint.path, settings.dtype, settings.device, settings.quantize)


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """Only the tokenizer: no model may be in the process that measures."""
    register_architecture()
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        checkpoint.path, trust_remote_code=False, local_files_only=True
    )
    return tokenizer
