"""A checkpoint opened: everything small is read, everything is checked, and no weight is read yet."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from components.checkpoints.errors import IncompleteCheckpointError, LoadError, UnsupportedCheckpointError
from components.checkpoints.locate import check_complete
from components.model.chat_format import ROLE_IDS
from components.model.configuration import BaichuanConfig
from components.model.configuration_file import read_config
from components.model.generation_file import read_generation_config
from components.model.library_errors import explained
from components.model.modeling import BaichuanForCausalLM
from components.model.stored_weights import StoredWeight, list_weights
from components.model.tokenizer import BaichuanTokenizer, load_tokenizer
from components.model.weight_checks import check_llama, check_usable
from components.model.weights import register_weight_conversion, untie_head
from components.model.wrong_field import wrong_field_named


@dataclass(frozen=True)
class OpenedCheckpoint:
    """What a model is built from.

    Attributes:
        folder: where it lies.
        config: of a model that transformers has built in, or of Baichuan 2.
        generation: the parsed ``generation_config.json``.
        tokenizer: the model's.
        weights: where each weight is, by name.
    """

    folder: Path
    config: Any
    generation: dict[str, Any]
    tokenizer: PreTrainedTokenizerBase
    weights: dict[str, StoredWeight]


def open_checkpoint(folder: Path) -> OpenedCheckpoint:
    """Open a checkpoint of any causal language model that can be run here.

    Raises:
        UnsupportedCheckpointError: it is of a kind that cannot.
        LoadError: something in the folder is missing or broken.
    """
    register_architecture()
    raw, config = open_config(folder)
    generation = read_generation_config(folder, raw, config)
    tokenizer = load_tokenizer(folder, config)
    weights = list_weights(folder)
    check_usable(weights)
    if isinstance(config, BaichuanConfig):
        _check_role_tokens(folder, tokenizer, generation)
        untie_head(raw.get("tie_word_embeddings", False), weights)
        check_llama(folder, config, weights)
    return OpenedCheckpoint(folder, config, generation, tokenizer, weights)


def open_config(folder: Path) -> tuple[dict[str, Any], Any]:
    """The parsed ``config.json`` of a complete checkpoint, and the configuration that it describes.

    Raises:
        UnsupportedCheckpointError: it is of a kind that cannot be run.
        LoadError: the folder is not complete, or the file is broken.
    """
    try:
        check_complete(folder)
    except IncompleteCheckpointError as error:
        raise LoadError(f"{folder} cannot be loaded: {error}") from error
    raw = read_config(folder)
    model_type = raw["model_type"]
    try:
        kind = CONFIG_MAPPING[model_type]
        AutoModelForCausalLM._model_mapping[kind]
    except KeyError as error:
        raise UnsupportedCheckpointError(
            f"{folder} holds a model of type {model_type!r}, which transformers does not have built in as one that "
            "writes text; its own code is never executed here. Use Baichuan2-7B-Chat: python download.py"
        ) from error
    with explained(folder / "config.json"), wrong_field_named(folder):
        return raw, kind.from_dict(raw | _ends_within(raw))


def _ends_within(raw: dict[str, Any]) -> dict[str, Any]:
    """The first and the last token of ``config.json``, or None for those that its vocabulary does not have.

    The ones that count are those of ``generation_config.json``; these only go along into exports.
    """
    size = raw.get("vocab_size")
    ends = {}
    for name in ("bos_token_id", "eos_token_id"):
        ids = raw.get(name)
        listed = ids if isinstance(ids, list) else [ids]
        within = [id_ for id_ in listed if not (isinstance(size, int) and isinstance(id_, int) and id_ >= size)]
        if within != listed:
            ends[name] = within or None
    return ends


def register_architecture() -> None:
    """Make transformers' Auto classes know Baichuan 2. Calling it again changes nothing."""
    AutoConfig.register(BaichuanConfig.model_type, BaichuanConfig, exist_ok=True)
    AutoModelForCausalLM.register(BaichuanConfig, BaichuanForCausalLM, exist_ok=True)
    AutoTokenizer.register(BaichuanConfig, fast_tokenizer_class=BaichuanTokenizer, exist_ok=True)
    register_weight_conversion()


def _check_role_tokens(folder: Path, tokenizer: PreTrainedTokenizerBase, generation: dict[str, Any]) -> None:
    """A tokenizer that has bytes or nothing in the place of the role tokens is another model's."""
    for name in ROLE_IDS:
        if (token_id := generation.get(name)) is None:
            continue
        token = tokenizer.convert_ids_to_tokens(token_id) if token_id < len(tokenizer) else None
        if token is None or re.fullmatch(r"<0x[0-9A-F]{2}>", token):
            raise LoadError(
                f"The tokenizer in {folder} is not this model's: {name} is {token_id}, which is "
                f"{'no token' if token is None else token} there. Copy tokenizer.model from the published model: "
                "python download.py"
            )
