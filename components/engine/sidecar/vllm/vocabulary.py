"""What is known here of the model that vLLM runs: its chat format, its tokens, its defaults. No weight is read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from components.engine.vocabulary import Vocabulary, vocabulary_from
from components.model.configuration import vocabulary_of
from components.model.generation_file import read_generation_config
from components.model.opening import open_config, register_architecture
from components.model.tokenizer import load_tokenizer
from components.sampling.parameters import SamplingParams


def read_vocabulary(folder: Path) -> tuple[Vocabulary, SamplingParams, str]:
    """The vocabulary of a checkpoint, its own sampling parameters, and the type of its weights.

    Raises:
        UnsupportedCheckpointError: it is of a kind that cannot be run.
        LoadError: something in the folder is missing or broken.
        MessagesError: it was not made for chatting.
    """
    register_architecture()
    raw, config = open_config(folder)
    generation = cast("Any", SimpleNamespace(**{"do_sample": None} | read_generation_config(folder, raw, config)))
    tokenizer = load_tokenizer(folder, config)
    vocabulary = vocabulary_from(tokenizer, generation, int(min(vocabulary_of(config), 2**31)))
    stored = raw.get("dtype") or raw.get("torch_dtype") or "auto"
    return vocabulary, SamplingParams.from_generation_config(generation), str(stored)
