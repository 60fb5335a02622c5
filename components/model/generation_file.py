"""``generation_config.json``: a checkpoint's sampling defaults, its end tokens and its role tokens."""

import logging
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from components.checkpoints.content import check_place, read_json_object
from components.checkpoints.errors import LoadError
from components.model.chat_format import ROLE_IDS
from components.model.configuration import BaichuanConfig, vocabulary_of
from components.model.configuration_file import LARGEST, Integer, Token, validate, without_absent_tokens

logger = logging.getLogger(__name__)

NAME = "generation_config.json"


class GenerationFile(BaseModel):
    """What is read from it, if it is there; values outside the page's bounds are left to the page."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    do_sample: bool | None = None
    temperature: float | None = Field(None, ge=0, le=LARGEST)
    top_p: float | None = Field(None, ge=0, le=LARGEST)
    min_p: float | None = Field(None, ge=0, le=LARGEST)
    top_k: Integer | None = None
    repetition_penalty: float | None = Field(None, gt=0, le=LARGEST)
    max_new_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    bos_token_id: Token | None = None
    pad_token_id: Token | None = None
    eos_token_id: Token | Annotated[list[Token], Field(min_length=1)] | None = None
    user_token_id: NonNegativeInt | None = None
    assistant_token_id: NonNegativeInt | None = None


def read_generation_config(folder: Path, raw: dict[str, Any], config: Any) -> dict[str, Any]:
    """What is read of the parsed file, with the role tokens of Baichuan 2 put in where a fine-tune lost them.

    Args:
        folder: the checkpoint's.
        raw: the parsed ``config.json``, where older models keep it all.
        config: the model's configuration.

    Raises:
        LoadError: the file is damaged, or names tokens that the vocabulary does not have.
    """
    file = folder / NAME
    check_place(file)
    if file.exists():
        values = read_json_object(file)
    else:
        file, values = folder / "config.json", raw
    validate(GenerationFile, values, file)
    values = without_absent_tokens({name: values[name] for name in GenerationFile.model_fields if name in values})
    vocabulary = vocabulary_of(config)
    for name, value in values.items():
        tokens = value if isinstance(value, list) else [value]
        if name.endswith("_token_id") and any(isinstance(id_, int) and id_ >= vocabulary for id_ in tokens):
            raise LoadError(
                f"{file} has {name} {value}, but config.json says that there are {vocabulary} tokens. "
                "Take both files from the same model: python download.py"
            )
    absent = {name: id_ for name, id_ in ROLE_IDS.items() if values.get(name) is None}
    if absent and isinstance(config, BaichuanConfig) and config.vocab_size >= BaichuanConfig.vocab_size:
        logger.warning("%s names no role tokens: taken are Baichuan 2 Chat's, %s.", file, absent)
        values |= absent
    return values
