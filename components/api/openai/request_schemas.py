"""What is sent to ``/v1`` and ``/tokenize``: OpenAI's fields, and more for sampling.

A field that this server cannot honour is refused where ignoring it would change the reply, and ignored where it would
not (``IgnoredFields``). vLLM ignores every field that it does not know; here a mistyped name is told.
"""

import json
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Discriminator, Field, JsonValue, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from components.api.body import read_body
from components.api.errors import BodyTooLargeError, failure_of
from components.api.openai.errors import ApiError, bad_body
from components.api.openai.messages import ChatMessage
from components.api.openai.schema_base import Stop, Strict, ignored, refused, sampling_field
from components.api.problems import UNNAMED
from components.sampling.parameters import MAX_SEED, SamplingParams

T = TypeVar("T", bound=BaseModel)

MAX_CHOICES = 128
"""OpenAI's own limit of ``n``; how many can be had here also depends on the settings."""

DEFAULT_COMPLETION_TOKENS = 16
"""OpenAI's own default for the longest text of ``/v1/completions``."""


class IgnoredFields(Strict):
    """Fields of OpenAI's that change no reply: they say who asks, what to keep, or how to serve. All are ignored."""

    user: JsonValue = ignored()
    safety_identifier: JsonValue = ignored()
    store: JsonValue = ignored()
    metadata: JsonValue = ignored()
    service_tier: JsonValue = ignored()
    prompt_cache_key: JsonValue = ignored()
    prompt_cache_options: JsonValue = ignored()
    prompt_cache_retention: JsonValue = ignored()
    parallel_tool_calls: JsonValue = ignored()
    prediction: JsonValue = ignored()


class StreamOptions(Strict):
    """What a stream tells besides the reply."""

    include_usage: bool | None = Field(None, description="A last chunk without choices counts the tokens.")
    include_obfuscation: bool | None = Field(None, description="Ignored: nothing is obfuscated.")


class JsonSchema(Strict):
    """A JSON schema that the reply follows, token by token."""

    name: str | None = None
    description: str | None = Field(None, description="Ignored: say in a message what you want.")
    schema_: dict[str, JsonValue] = Field(alias="schema")
    strict: bool | None = Field(None, description="Ignored: the schema always holds.")


class ResponseFormat(Strict):
    """The form of the reply."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_needed(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise PydanticCustomError("refused", 'json_schema goes with "type": "json_schema", and must be there then')
        return self

    @property
    def schema_text(self) -> str | None:
        """The schema as JSON; None leaves the reply free."""
        match self.type:
            case "text":
                return None
            case "json_object":
                return '{"type": "object"}'
        assert self.json_schema is not None
        return json.dumps(self.json_schema.schema_)


class GenerationFields(IgnoredFields):
    """What chat completions and completions share."""

    model: str | None = Field(None, description="The id that GET /v1/models tells. Not given: the model that runs.")
    stream: bool | None = Field(None, description="Send the reply as server-sent events while it is written.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(
        None, ge=1, le=MAX_CHOICES, description="How many replies to write. With a seed, reply i has the seed plus i."
    )
    stop: Stop | None = Field(None, description="The reply ends before the first of these texts. Up to four.")
    temperature: float | None = sampling_field("temperature", "Not given: what the checkpoint recommends.")
    top_p: float | None = sampling_field("top_p", "Not given: what the checkpoint recommends.")
    top_k: int | None = sampling_field("top_k", "Not OpenAI's. Not given: what the checkpoint recommends.")
    repetition_penalty: float | None = sampling_field(
        "repetition_penalty", "Not OpenAI's. Not given: what the checkpoint recommends."
    )
    presence_penalty: float | None = sampling_field("presence_penalty")
    frequency_penalty: float | None = sampling_field("frequency_penalty")
    seed: int | None = sampling_field("seed")
    max_tokens: int | None = sampling_field("max_new_tokens")
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = Field(
        None, description="Not supported: only the empty one is accepted."
    )

    def sampling(self, defaults: SamplingParams) -> SamplingParams:
        """How to choose tokens: what the request says, else the defaults."""
        names = ("temperature", "top_p", "top_k", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed")
        given = {name: getattr(self, name) for name in names} | {
            "stop": (self.stop,) if isinstance(self.stop, str) else self.stop and tuple(self.stop),
            "max_new_tokens": self.longest,
            "json_schema": self.json_schema,
        }
        values = defaults.model_dump() | {name: value for name, value in given.items() if value is not None}
        try:
            return SamplingParams.model_validate(values)
        except ValidationError as error:  # what is left: a JSON schema that is too long
            raise bad_body(error, SamplingParams.model_fields) from error

    @property
    def choices(self) -> int:
        """How many replies to write to each prompt."""
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        """Whether a stream tells the numbers of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def longest(self) -> int | None:
        """The longest reply, in tokens; None when the request does not say."""
        return self.max_tokens

    @property
    def json_schema(self) -> str | None:
        """The JSON schema that the reply follows."""
        return None

    def seed_of(self, choice: int) -> int | None:
        """The seed of a reply, so that several replies to one prompt differ and can each be had again."""
        return None if self.seed is None else (self.seed + choice) % (MAX_SEED + 1)


class ChatCompletionRequest(GenerationFields):
    """The body of ``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(
        min_length=1,
        description="The conversation. A last message of the assistant's is continued: the reply is the rest of it.",
    )
    max_completion_tokens: int | None = sampling_field(
        "max_new_tokens", "Not given: what the checkpoint recommends, or what is left of the context."
    )
    max_tokens: int | None = sampling_field("max_new_tokens", "The older name of max_completion_tokens.")
    logprobs: bool | None = Field(None, description="Tell how likely each token was.")
    top_logprobs: int | None = Field(
        None, ge=0, le=20, description="And so many of the likeliest tokens in its place. Needs logprobs."
    )
    response_format: ResponseFormat | None = Field(
        None, description="text, json_object (any JSON object) or json_schema (what the schema allows)."
    )
    tools: list[dict[str, JsonValue]] | None = Field(
        None, description='Not supported: only an empty list, or any with "tool_choice": "none".'
    )
    tool_choice: Literal["none", "auto"] | None = None
    functions: list[dict[str, JsonValue]] | None = Field(
        None, description='Not supported: only an empty list, or any with "function_call": "none".'
    )
    function_call: Literal["none", "auto"] | None = None
    modalities: list[Literal["text"]] | None = Field(None, description="There is only text.")
    reasoning_effort: Literal["none"] | None = Field(None, description="The model does not think before it answers.")
    verbosity: Literal["medium"] | None = Field(None, description="Say in a message how long you want it.")
    audio: None = Field(None, description="Not supported.")
    moderation: None = Field(None, description="Not supported.")
    web_search_options: None = Field(None, description="Not supported.")

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> Self:
        for name, choice in (("tools", "tool_choice"), ("functions", "function_call")):
            if getattr(self, name) and getattr(self, choice) != "none":
                raise refused(name, f'the model cannot call any. Leave {name} out, or send "{choice}": "none"')
        if self.top_logprobs and not self.logprobs:
            raise refused("top_logprobs", 'it needs "logprobs": true')
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise refused("max_tokens", "max_completion_tokens says otherwise. Send one of them")
        return self

    @property
    def longest(self) -> int | None:
        """See ``GenerationFields.longest``."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def json_schema(self) -> str | None:
        """See ``GenerationFields.json_schema``."""
        return self.response_format.schema_text if self.response_format else None

    @property
    def told_logprobs(self) -> int | None:
        """How many alternatives to tell in each token's place; None tells no log probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None


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
    max_tokens: int | None = sampling_field("max_new_tokens", f"Not given: {DEFAULT_COMPLETION_TOKENS}.")
    echo: bool | None = Field(None, description="Put the prompt before the reply.")
    logprobs: int | None = Field(
        None, ge=0, le=5, description="Tell how likely each token was, and so many of the likeliest in its place."
    )
    best_of: int | None = Field(None, ge=1, le=MAX_CHOICES, description="Not supported: only the value of n.")
    suffix: Literal[""] | None = Field(None, description="Not supported: the model writes on, never in between.")

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> Self:
        if self.best_of is not None and self.best_of != self.choices:
            raise refused("best_of", f"every reply is returned, so it can only be n, which is {self.choices}")
        if self.echo and self.logprobs is not None:
            raise refused("echo", "the prompt's log probabilities are not known. Leave logprobs out")
        return self

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt by itself."""
        match self.prompt:
            case [str(), *_] | [list(), *_]:
                return list(self.prompt)  # type: ignore[arg-type]
        return [self.prompt]  # type: ignore[list-item]

    @property
    def longest(self) -> int:
        """See ``GenerationFields.longest``."""
        return DEFAULT_COMPLETION_TOKENS if self.max_tokens is None else self.max_tokens


class TokenizeRequest(Strict):
    """The body of ``POST /tokenize``: a prompt or messages."""

    model: str | None = Field(None, description="The id that GET /v1/models tells. Not given: the model that runs.")
    prompt: str | None = Field(None, description="A text. No control tokens are put before it or read in it.")
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = Field(
        None, description="A conversation: the tokens of all that the model would read."
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise refused("prompt", "send either prompt or messages")
        return self


class DetokenizeRequest(Strict):
    """The body of ``POST /detokenize``."""

    model: str | None = Field(None, description="The id that GET /v1/models tells. Not given: the model that runs.")
    tokens: list[int]


async def read_request(request: Request, kind: type[T]) -> T:
    """Read the body of a request.

    Raises:
        ApiError: it is too large, no JSON, or not what the endpoint takes.
    """
    try:
        return kind.model_validate_json(await read_body(request))
    except BodyTooLargeError as error:
        raise ApiError(failure_of(error)) from error
    except ValidationError as error:
        raise bad_body(error, kind.model_fields) from error
