"""The small JSON files of a tokenizer, checked before transformers builds anything from them."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from components.checkpoints.content import check_place, read_json_object
from components.model.configuration_file import validate


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class _AddedToken(_Strict):
    content: str


Special = str | _AddedToken | None
Specials = list[str | _AddedToken]


class SpecialTokens(_Strict):
    """``special_tokens_map.json``, and a part of ``tokenizer_config.json``."""

    bos_token: Special = None
    eos_token: Special = None
    unk_token: Special = None
    pad_token: Special = None
    sep_token: Special = None
    cls_token: Special = None
    mask_token: Special = None
    additional_special_tokens: Specials | dict[str, str | _AddedToken] | None = None


class TokenizerConfig(SpecialTokens):
    """``tokenizer_config.json`` in part; what is not named here passes unseen."""

    tokenizer_class: str | None = None
    added_tokens_decoder: dict[str, _AddedToken] = {}
    extra_special_tokens: Specials | dict[str, str | _AddedToken] | None = None
    model_specific_special_tokens: dict[str, str | _AddedToken] = {}
    chat_template: str | list[dict[str, Any]] | dict[str, Any] | None = None
    model_input_names: list[str] = []
    model_max_length: float | None = None
    padding_side: Literal["left", "right"] = "left"
    truncation_side: Literal["left", "right"] = "left"
    split_special_tokens: bool = False
    init_inputs: list[Any] = Field([], max_length=0)


class AddedTokens(RootModel[dict[str, int]]):
    """``added_tokens.json``: ids by text."""

    model_config = ConfigDict(strict=True)


JSON_FILES: dict[str, type[BaseModel] | None] = {
    "tokenizer.json": None,  # the library that reads it says where it is wrong
    "tokenizer_config.json": TokenizerConfig,
    "special_tokens_map.json": SpecialTokens,
    "added_tokens.json": AddedTokens,
}
"""What transformers reads, and does not name when it is damaged."""


def check_tokenizer_files(folder: Path) -> None:
    """See that those of them that are there can be used.

    Raises:
        LoadError: one cannot; the text names it, and the field if it is one's fault.
    """
    for name, kind in JSON_FILES.items():
        file = folder / name
        check_place(file)
        if file.is_file():
            content = read_json_object(file)
            if kind is not None:
                validate(kind, content, file)
