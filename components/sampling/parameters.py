"""Sampling parameters: bounds, defaults and help, declared once for the page, the APIs and the documentation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:  # importing transformers takes seconds
    from transformers import GenerationConfig

MAX_SEED = 2**53 - 1
"""Largest seed: every JSON and JavaScript reader holds it exactly."""

LEAST_TOP_P = 1e-6
"""What other servers write as 0: only the likeliest token, which is kept however small ``top_p`` is."""

MOST_BIAS = 100.0
"""A bias that leaves no other token or, below zero, rules one out."""

LONGEST_FORM = 65536
"""The longest JSON schema, regular expression or grammar, in characters."""

FormText = Annotated[str, Field(max_length=LONGEST_FORM)]
"""Only of a text with a bound it is seen whether it is Unicode: JSON may hold half characters."""

TokenId = Annotated[int, Field(ge=0)]

StopText = Annotated[str, Field(min_length=1, max_length=1000)]


def as_meant(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as programs write them for other servers, in this application's terms; what is wrong stays so."""
    meant = dict(values)
    for name, theirs, ours in (("top_k", -1, 0), ("top_p", 0, LEAST_TOP_P), ("seed", -1, None)):
        value = meant.get(name)
        if value == theirs and not isinstance(value, bool):
            meant[name] = ours
    if isinstance(biases := meant.get("logit_bias"), dict):  # vLLM, too, takes 100 for all beyond it
        meant["logit_bias"] = {
            token: min(max(bias, -MOST_BIAS), MOST_BIAS) if isinstance(bias, int | float) else bias
            for token, bias in biases.items()
        }
    return meant


def _from_json(value: Any) -> Any:
    """Lists and keys as JSON has them, in strict mode too, which wants tuples and numbers."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {int(key) if isinstance(key, str) and key.isdecimal() else key: item for key, item in value.items()}
    return value


FromJson = BeforeValidator(_from_json)


class SamplingParams(BaseModel):
    """How the next token is chosen. ``json_schema_extra["slider"]`` is the (low, high, step) that the page offers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: float = Field(
        0.3,
        ge=0,
        le=10,
        description="How adventurous the wording is. 0 always takes the likeliest token; "
        "above 1 the reply gets surprising, then confused.",
        json_schema_extra={"slider": [0.0, 2.0, 0.05]},
    )
    top_p: float = Field(
        0.85,
        gt=0,
        le=1,
        description="Keeps the likeliest tokens that together reach this probability and drops the rest. "
        "Lower is safer, 1 keeps all.",
        json_schema_extra={"slider": [0.05, 1.0, 0.05]},
    )
    top_k: int = Field(
        5,
        ge=0,
        description="Considers only this many of the likeliest tokens at each step. 0 sets no limit.",
        json_schema_extra={"slider": [0, 200, 1]},
    )
    min_p: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Drops tokens less likely than this part of the likeliest one's probability. 0 drops none.",
        json_schema_extra={"slider": [0.0, 1.0, 0.01]},
    )
    max_new_tokens: int = Field(
        2048,
        ge=1,
        le=32768,
        description="The longest reply, in tokens. One token is about one or two Chinese characters, "
        "or three quarters of an English word. This room is kept free, so a larger value leaves less for the history.",
        json_schema_extra={"slider": [16, 2048, 16]},
    )
    repetition_penalty: float = Field(
        1.05,
        ge=0.01,
        le=10,
        description="Makes tokens that already occurred less likely. 1 does nothing; "
        "raise it a little when replies go round in circles.",
        json_schema_extra={"slider": [1.0, 2.0, 0.01]},
    )
    presence_penalty: float = Field(
        0.0,
        ge=-2,
        le=2,
        description="Taken off the logits of tokens that the reply has already. 0 does nothing.",
        json_schema_extra={"slider": [-2.0, 2.0, 0.05]},
    )
    frequency_penalty: float = Field(
        0.0,
        ge=-2,
        le=2,
        description="Taken off a token's logit as often as the reply has it already. 0 does nothing.",
        json_schema_extra={"slider": [-2.0, 2.0, 0.05]},
    )
    logit_bias: Annotated[dict[TokenId, Annotated[float, Field(ge=-MOST_BIAS, le=MOST_BIAS)]], FromJson] = Field(
        {},
        max_length=1024,
        description="Added to the logits of single tokens, by token id. -100 rules a token out, 100 leaves no other.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="The same seed, settings and conversation give the same reply again. Empty: a new one each time.",
    )

    stop: Annotated[tuple[StopText, ...], FromJson] = Field(
        (),
        max_length=256,
        description="The reply ends before the first of these texts. Up to 256.",
    )
    stop_token_ids: Annotated[tuple[TokenId, ...], FromJson] = Field(
        (),
        max_length=64,
        description="Tokens that end the reply, besides the model's own end tokens.",
    )
    ignore_eos: bool = Field(
        False,
        description="The model's own end tokens are never written: the reply goes on to its greatest length.",
    )
    min_tokens: int = Field(
        0,
        ge=0,
        le=32768,
        description="The shortest reply, in tokens: before that no end token is written.",
    )
    json_schema: str | None = Field(
        None,
        max_length=LONGEST_FORM,
        description="A JSON schema, written as JSON, that the reply follows.",
    )
    regex: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_FORM,
        description="A regular expression that the whole reply matches.",
    )
    choice: Annotated[tuple[FormText, ...], FromJson] | None = Field(
        None,
        min_length=1,
        description="The reply is one of these texts.",
    )
    grammar: str | None = Field(
        None,
        max_length=LONGEST_FORM,
        description="A grammar in llguidance's Lark form that the reply follows.",
    )

    @classmethod
    def from_generation_config(cls, config: "GenerationConfig", defaults: Self | None = None) -> Self:
        """The checkpoint's own parameters; for what it leaves out, or sets outside our bounds, ``defaults`` hold."""
        values: dict[str, Any] = {
            name: value
            for name in ("temperature", "top_p", "top_k", "min_p", "max_new_tokens", "repetition_penalty")
            if (value := getattr(config, name, None)) is not None
        }
        if config.do_sample is False:
            values["temperature"] = 0.0
        defaults = defaults or cls()
        for name, value in values.items():
            try:
                cls.model_validate({name: value})
            except ValueError:
                continue
            defaults = defaults.model_copy(update={name: value})
        return defaults

    @property
    def has_form(self) -> bool:
        """Whether the reply follows a schema or the like, to its end or not at all."""
        return any(form is not None for form in (self.json_schema, self.regex, self.choice, self.grammar))

    def fitting(self, context_length: int) -> Self:
        """The same for a context of so many tokens: a reply may fill half of it at most, so that a question fits."""
        return self.model_copy(update={"max_new_tokens": min(self.max_new_tokens, context_length // 2)})
