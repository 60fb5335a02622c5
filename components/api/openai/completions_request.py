"""What is sent to ``POST /v1/completions``."""

from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from components.api.openai.generation_fields import LENGTHS, MAX_CHOICES, GenerationFields
from components.api.openai.schema_base import refused, refuses, sampling_field
from components.api.problems import UNNAMED

DEFAULT_COMPLETION_TOKENS = 16
"""OpenAI's own default for the longest text of ``/v1/completions``."""


def _kind_of_prompt(value: Any) -> str | None:
    match value:
        case str():
            return UNNAMED + "text"
        case [str(), *_]:
            return UNNAMED + "texts"
        case [int(), *_]:
            return UNNAMED + "tokens"
        case [list(), *_]:
            return UNNAMED + "several tokens"
    return None


Tokens = Annotated[list[int], Field(min_length=1)]

PromptField = Annotated[
    Annotated[str, Field(min_length=1), Tag(UNNAMED + "text")]
    | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), Tag(UNNAMED + "texts")]
    | Annotated[Tokens, Tag(UNNAMED + "tokens")]
    | Annotated[list[Tokens], Field(min_length=1), Tag(UNNAMED + "several tokens")],
    Discriminator(
        _kind_of_prompt,
        custom_error_type="prompt",
        custom_error_message="Input should be a text, a list of texts, a list of token ids, or a list of such lists",
    ),
]


class CompletionRequest(GenerationFields):
    """The body of ``POST /v1/completions``."""

    prompt: PromptField = Field(description="What to write on, as text or token ids; or several of them.")
    max_tokens: int | None = sampling_field(
        "max_new_tokens",
        f"0: nothing is written. -1: whatever is left of the context. Not given: {DEFAULT_COMPLETION_TOKENS}.",
        **LENGTHS,
    )
    echo: bool | None = Field(None, description="Put the prompt before the reply.")
    logprobs: int | None = Field(
        None,
        ge=0,
        le=50,
        description="Tell how likely each token was, and so many of the likeliest in its place; with echo, those of "
        "the prompt, too.",
    )
    best_of: int | None = Field(
        None,
        ge=1,
        le=MAX_CHOICES,
        description="Write so many, and return the n whose tokens were likeliest on the whole. Not with stream.",
    )
    suffix: JsonValue = refuses("the model writes on, never in between: leave it out")

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> Self:
        if self.best_of is not None and self.best_of < self.choices:
            raise refused("best_of", f"it is less than n, which is {self.choices}")
        if self.written > self.choices and self.stream:
            raise refused("best_of", "which are the best is known when all are written: leave stream or best_of out")
        return self

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt by itself."""
        match self.prompt:
            case [str(), *_] | [list(), *_]:
                return list(self.prompt)  # type: ignore[arg-type]
        return [self.prompt]  # type: ignore[list-item]

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return self.max_tokens, DEFAULT_COMPLETION_TOKENS

    @property
    def written(self) -> int:
        """See ``GenerationFields.written``."""
        return self.best_of or self.choices
