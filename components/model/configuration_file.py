"""``config.json``, checked before transformers builds anything from it."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from transformers.activations import ACT2FN

from components.checkpoints.content import read_json_object
from components.checkpoints.errors import LoadError, UnsupportedCheckpointError
from components.checkpoints.foreign import QUANTIZED_CURE, quantization_of
from components.model.configuration import BaichuanConfig, check_supported

CURE = (
    "Correct that field, or take the file from the model as it was published: python download.py "
    "(your own model: the config.json of what it was trained from)."
)


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
"""-1 stood for none in early Llama models."""

Activation = Annotated[str, AfterValidator(_known_activation)]


class _File(BaseModel):
    """``config.json`` in part; what is not named here passes unseen."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    model_type: Annotated[str, Field(min_length=1)]
    architectures: list[str] | None = None


class BaichuanFile(_File):
    """What Baichuan 2 7B's says, with the bounds within which it makes sense. Left out is the published value."""

    vocab_size: Vocabulary = BaichuanConfig.vocab_size
    hidden_size: Width = BaichuanConfig.hidden_size
    intermediate_size: Width = BaichuanConfig.intermediate_size
    num_hidden_layers: Layers = BaichuanConfig.num_hidden_layers
    num_attention_heads: Heads = BaichuanConfig.num_attention_heads
    num_key_value_heads: Heads | None = None
    head_dim: Width | None = None
    hidden_act: Activation = BaichuanConfig.hidden_act
    max_position_embeddings: Positions
    model_max_length: Positions | None = None
    rms_norm_eps: float = Field(BaichuanConfig.rms_norm_eps, gt=0, lt=1)
    initializer_range: float = Field(0.02, ge=0, le=1)
    rope_theta: float | None = Field(None, gt=0)
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    tie_word_embeddings: bool = False
    bos_token_id: Token | None = None
    pad_token_id: Token | None = None
    eos_token_id: Token | list[Token] | None = None

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
    kind = BaichuanFile if config.get("model_type") == BaichuanConfig.model_type else OtherFile
    validate(kind, config, file)
    return config


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
        reason = first["msg"].removeprefix("Value error, ")
        if not field:
            text = reason
        elif field in content:
            text = f"{field} is {_shortened(content[field])}, but {_lower(reason)}"
        else:
            text = f"{field} is missing"
        raise LoadError(f"{file} is not a model's: {text}. {CURE}") from error


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _lower(reason: str) -> str:
    return reason.replace("Input should", "it should") if reason.startswith("Input") else f"it {reason}"
