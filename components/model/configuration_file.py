"""``config.json``, checked before transformers builds anything from it."""

import re
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from transformers import LlamaConfig
from transformers.activations import ACT2FN

from components.checkpoints.content import read_json_object
from components.checkpoints.errors import LoadError, UnsupportedCheckpointError
from components.checkpoints.foreign import QUANTIZATION, QUANTIZED_CURE, quantization_of
from components.model.configuration import BaichuanConfig, check_supported

CURE = (
    "Correct that field, or take the file from the model as it was published: python download.py "
    "(your own model: the same file of what it was trained from)."
)


INSTANCE = re.compile(r"a valid dictionary( or instance of \w+)?")
"""How pydantic calls a JSON object."""


def _known_activation(name: str) -> str:
    if name not in ACT2FN:
        raise ValueError(f"must be one of {', '.join(sorted(ACT2FN))}")
    return name


# Far above every published model, far below what would take all memory or all day.
Layers = Annotated[int, Field(ge=1, le=1000)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]
Heads = Annotated[int, Field(ge=1, le=10_000)]
Vocabulary = Annotated[int, Field(ge=1, le=10_000_000)]
Positions = Annotated[int, Field(ge=1, le=100_000_000)]
Token = Annotated[int, Field(ge=-1)]
"""-1 stood for none in early Llama models; see ``without_absent_tokens``."""

LARGEST = 1e30
"""Of fractions: any file that they are written to has float32."""

Fraction = Annotated[float, Field(gt=0, le=LARGEST)]
Integer = Annotated[int, Field(ge=-(2**31), lt=2**31)]

Activation = Annotated[str, AfterValidator(_known_activation)]


def _known_dtype(name: str) -> str:
    kind = getattr(torch, name.removeprefix("torch."), None)
    if name != "auto" and not (isinstance(kind, torch.dtype) and kind.is_floating_point):
        raise ValueError("must be float32, float16, bfloat16 or another of PyTorch's types")
    return name


Dtype = Annotated[str, AfterValidator(_known_dtype)]


class _Rope(BaseModel):
    """How rotary positions are made, in part; where layers differ in it, there is one inside for each kind of them."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    rope_type: str | None = None
    type: str | None = None
    rope_theta: Fraction | None = None
    factor: Fraction | None = None
    low_freq_factor: Fraction | None = None
    high_freq_factor: Fraction | None = None
    attention_factor: Fraction | None = None
    beta_fast: Fraction | None = None
    beta_slow: Fraction | None = None
    original_max_position_embeddings: Positions | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        kind = self.rope_type or self.type or "default"
        for name in ROPE_NEEDS.get(kind, ()):
            if getattr(self, name) is None:
                raise ValueError(f"lacks {name}, which positions of type {kind!r} need")
        return self


ROPE_NEEDS = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}


class _File(BaseModel):
    """``config.json`` in part; what is not named here passes unseen."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    model_type: Annotated[str, Field(min_length=1)]
    architectures: list[str] | None = None
    model_max_length: Positions | None = None
    rope_theta: Fraction | None = None
    rope_scaling: _Rope | None = None
    rope_parameters: _Rope | None = None
    dtype: Dtype | None = None
    torch_dtype: Dtype | None = None
    bos_token_id: Token | None = None
    pad_token_id: Token | None = None
    eos_token_id: Token | list[Token] | None = None


class LlamaFile(_File):
    """What a Llama-type model's says, with the bounds within which it makes sense. Left out is Llama's own value."""

    vocab_size: Vocabulary = LlamaConfig.vocab_size
    hidden_size: Width = BaichuanConfig.hidden_size
    intermediate_size: Width = BaichuanConfig.intermediate_size
    num_hidden_layers: Layers = BaichuanConfig.num_hidden_layers
    num_attention_heads: Heads = BaichuanConfig.num_attention_heads
    num_key_value_heads: Heads | None = None
    head_dim: Width | None = None
    hidden_act: Activation = BaichuanConfig.hidden_act
    max_position_embeddings: Positions = LlamaConfig.max_position_embeddings
    rms_norm_eps: float = Field(BaichuanConfig.rms_norm_eps, gt=0, lt=1)
    initializer_range: float = Field(0.02, ge=0, le=1)
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    use_cache: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            raise ValueError(f"pad_token_id is {self.pad_token_id}, and vocab_size only {self.vocab_size}")
        if self.head_dim is None and self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} cannot be shared by num_attention_heads "
                f"{self.num_attention_heads} in even parts"
            )
        return self


class BaichuanFile(LlamaFile):
    """What Baichuan 2 7B's says. Left out is the published value."""

    vocab_size: Vocabulary = BaichuanConfig.vocab_size
    max_position_embeddings: Positions


class OtherFile(_File):
    """The bounds of other models' files, under the names that most of them have; transformers knows the rest."""

    vocab_size: Vocabulary | None = None
    num_hidden_layers: Layers | None = None
    n_layer: Layers | None = None
    n_layers: Layers | None = None
    num_layers: Layers | None = None
    hidden_size: Width | list[Any] | None = None
    intermediate_size: Width | list[Any] | None = None
    max_position_embeddings: Positions | None = None
    n_positions: Positions | None = None
    hidden_act: Activation | dict[str, Any] | None = None
    hidden_activation: Activation | dict[str, Any] | None = None
    activation_function: Activation | None = None


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed ``config.json`` of a checkpoint that can be run.

    Raises:
        UnsupportedCheckpointError: it describes something that cannot.
        LoadError: it is damaged; the text names the file, the field and the value.
    """
    file = folder / "config.json"
    config = read_json_object(file)
    if method := quantization_of(folder, config):
        raise UnsupportedCheckpointError(
            f"{folder} holds weights that were quantized with {method} before they were saved. {QUANTIZED_CURE}"
        )
    check_supported(config)
    model_type = config.get("model_type")
    kinds: dict[Any, type[_File]] = {BaichuanConfig.model_type: BaichuanFile, LlamaConfig.model_type: LlamaFile}
    validate(kinds.get(model_type, OtherFile) if isinstance(model_type, str) else OtherFile, config, file)
    # transformers takes an empty quantization for one.
    return {name: value for name, value in without_absent_tokens(config).items() if value or name not in QUANTIZATION}


def without_absent_tokens(values: dict[str, Any]) -> dict[str, Any]:
    """The values with None in place of ids that stand for no token."""

    def known(value: Any) -> Any:
        if isinstance(value, list):
            return [id_ for id_ in value if known(id_) is not None] or None
        return None if isinstance(value, int) and value < 0 else value

    return {name: known(value) if name.endswith("_token_id") else value for name, value in values.items()}


def validate(kind: type[BaseModel], content: dict[str, Any], file: Path) -> None:
    """Check a file's content against a model of it.

    Raises:
        LoadError: the text names the file, the field and the value.
    """
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        reason = INSTANCE.sub("an object {…}", first["msg"].removeprefix("Value error, "))
        if not field:
            text = reason
        elif field in content:
            text = f"{field} is {shortened(content[field])}, but {_lower(reason)}"
        else:
            text = f"{field} is missing"
        raise LoadError(f"{file} is not a model's: {text}. {CURE}") from error


def shortened(value: Any) -> str:
    """A value as Python writes it, in so few characters that a sentence can hold it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _lower(reason: str) -> str:
    return reason.replace("Input should", "it should") if reason.startswith("Input") else f"it {reason}"
