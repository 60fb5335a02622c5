"""What is sent to ``/v1`` and ``/tokenize``: OpenAI's fields, vLLM's, and some that other servers know.

See ``schema_base`` for how they are read, and for the three groups that they are in.
"""

from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Discriminator, Field, JsonValue, Tag, ValidationError, model_validator
from starlette.requests import Request

from components.api.body import read_json
from components.api.errors import BodyError, failure_of
from components.api.openai.errors import ApiError, bad_body
from components.api.openai.json_schemas import WrittenSchema
from components.api.openai.messages import JOINED, ChatMessage, is_rearranged, to_conversation
from components.api.openai.schema_base import RequestPart, Stop, ignored, refused, refuses, sampling_field
from components.api.openai.structured_outputs import Constraint, ResponseFormat, StructuredOutputs, of_schema
from components.api.openai.tools import MOST_CALLS, Offer, Tool, ToolChoice, chosen_tools, make_offer
from components.api.problems import UNNAMED
from components.model.chat_format import Message
from components.sampling.parameters import LONGEST_FORM, MAX_SEED, SamplingParams

T = TypeVar("T", bound=RequestPart)

MAX_CHOICES = 128
"""OpenAI's own limit of ``n``; how many can be had here also depends on the settings."""

DEFAULT_COMPLETION_TOKENS = 16
"""OpenAI's own default for the longest text of ``/v1/completions``."""

LONGEST = 32768
"""What -1 means for the longest reply, before it is cut to what is left of the context."""

LEAST_TOP_P = 1e-6
"""What 0 means: only the likeliest token, which is kept however small ``top_p`` is."""

_NO_GRAMMAR = "grammars are written in another language here: send guided_json or guided_regex"
_CHECKPOINT = "Not given: what the checkpoint recommends."
_VLLM = f"vLLM's. {_CHECKPOINT}"

_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "ignore_eos",
    "min_tokens",
)
"""Fields that are sampling parameters of the same name."""

_FORMS = ("json_schema", "regex", "choice", "grammar")
"""Sampling parameters for what the reply follows."""


class StreamOptions(RequestPart):
    """What a stream tells besides the reply."""

    include_usage: bool | None = Field(None, description="A last chunk without choices counts the tokens.")
    continuous_usage_stats: JsonValue = ignored("tokens are counted at the end")
    include_obfuscation: JsonValue = ignored("nothing is obfuscated")


class ModelField(RequestPart):
    """Which model is meant."""

    model: str | None = Field(
        None,
        description="The id that GET /v1/models tells, in any case and with or without the hub's owner in front; "
        "default, empty or not given: the model that runs.",
    )


class GenerationFields(ModelField):
    """What chat completions and completions share."""

    stream: bool | None = Field(None, description="Send the reply as server-sent events while it is written.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(
        None, ge=1, le=MAX_CHOICES, description="How many replies to write. With a seed, reply i has the seed plus i."
    )
    max_tokens: int | None = sampling_field("max_new_tokens", "-1: whatever is left of the context.", ge=-1)
    stop: Stop | None = Field(None, description="The reply ends before the first of these texts.")
    stop_token_ids: list[int] | None = sampling_field("stop_token_ids", "vLLM's.")
    temperature: float | None = sampling_field("temperature", _CHECKPOINT)
    top_p: float | None = sampling_field("top_p", f"0: only the likeliest token. {_CHECKPOINT}", ge=0)
    top_k: int | None = sampling_field("top_k", f"So does -1. {_VLLM}", ge=-1)
    min_p: float | None = sampling_field("min_p", "vLLM's.")
    repetition_penalty: float | None = sampling_field("repetition_penalty", _VLLM)
    repeat_penalty: float | None = sampling_field("repetition_penalty", "llama.cpp's name of repetition_penalty.")
    presence_penalty: float | None = sampling_field("presence_penalty")
    frequency_penalty: float | None = sampling_field("frequency_penalty")
    logit_bias: dict[str, float] | None = sampling_field("logit_bias")
    seed: int | None = Field(
        None,
        ge=-(2**63),
        le=2**64 - 1,
        description="The same seed, settings and conversation give the same reply again. -1, or not given: a new one.",
    )
    ignore_eos: bool | None = sampling_field("ignore_eos", "vLLM's.")
    min_tokens: int | None = sampling_field("min_tokens", "vLLM's.")
    response_format: ResponseFormat | None = Field(
        None, description="text, json_object (any JSON object) or json_schema (what the schema allows)."
    )
    structured_outputs: StructuredOutputs | None = Field(
        None, description="vLLM's: the reply follows a JSON schema or a regular expression, or is one of some texts."
    )
    guided_json: WrittenSchema | None = Field(None, description="vLLM's older name of structured_outputs.json.")
    guided_regex: str | None = Field(None, min_length=1, description="And of structured_outputs.regex.")
    guided_choice: list[str] | None = Field(None, min_length=1, description="And of structured_outputs.choice.")

    user: JsonValue = ignored()
    safety_identifier: JsonValue = ignored()
    store: JsonValue = ignored()
    metadata: JsonValue = ignored()
    service_tier: JsonValue = ignored()
    prompt_cache_key: JsonValue = ignored()
    prompt_cache_options: JsonValue = ignored()
    prompt_cache_retention: JsonValue = ignored()
    cache_salt: JsonValue = ignored()
    cache_prompt: JsonValue = ignored("what was read before is always reused")
    cache_control: JsonValue = ignored("what was read before is always reused")
    priority: JsonValue = ignored("visitors take turns")
    request_id: JsonValue = ignored("send X-Request-ID")
    skip_special_tokens: JsonValue = ignored("control tokens are never part of a text")
    spaces_between_special_tokens: JsonValue = ignored()
    add_special_tokens: JsonValue = ignored("the chat format says which there are")
    include_reasoning: JsonValue = ignored("the model does not think before it answers")
    guided_decoding_backend: JsonValue = ignored()
    guided_whitespace_pattern: JsonValue = ignored()
    length_penalty: JsonValue = ignored("there is no beam search")
    early_stopping: JsonValue = ignored("there is no beam search")

    use_beam_search: JsonValue = refuses("there is no beam search: leave it out")
    prompt_logprobs: JsonValue = refuses("the prompt's log probabilities are not known: leave it out")
    include_stop_str_in_output: JsonValue = refuses("a reply ends before the stop text: leave it out")
    truncate_prompt_tokens: JsonValue = refuses("prompts are never cut: shorten yours")
    bad_words: JsonValue = refuses("send logit_bias with -100 for tokens that must not be written")
    allowed_token_ids: JsonValue = refuses("send logit_bias, or guided_choice")
    logits_processors: JsonValue = refuses("nothing that is sent is executed here")
    guided_grammar: JsonValue = refuses(
        "grammars are written in another language here: send guided_json or guided_regex"
    )
    grammar: JsonValue = refuses(_NO_GRAMMAR)
    ebnf: JsonValue = refuses(_NO_GRAMMAR)
    regex: JsonValue = refuses("SGLang's name: send guided_regex")
    json_schema: JsonValue = refuses("llama.cpp's place for it: send response_format, or guided_json")
    structural_tag: JsonValue = refuses("send response_format, or tools")
    return_token_ids: JsonValue = refuses("ask POST /tokenize")
    return_tokens_as_token_ids: JsonValue = refuses("log probabilities tell tokens as texts and bytes")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        given = {self.repetition_penalty, self.repeat_penalty} - {None}
        if len(given) > 1:
            raise refused("repeat_penalty", "repetition_penalty says otherwise. Send one of them")
        if len(self._constraints) > 1:
            raise refused("response_format", "a reply follows one form only. Send one of the fields that ask for one")
        if self.form and self.form.length > LONGEST_FORM:
            raise refused(self.form.name, f"what the reply should follow is longer than {LONGEST_FORM} characters")
        if self.longest is not None and self.min_tokens is not None and self.min_tokens > self.longest:
            raise refused("min_tokens", f"it is more than the longest reply, {self.longest} tokens")
        return self

    def sampling(self, defaults: SamplingParams) -> SamplingParams:
        """How to choose tokens: what the request says, else the defaults."""
        form = self.form
        given: dict[str, Any] = (
            {name: getattr(self, name) for name in _SAMPLING}
            | {
                "repetition_penalty": self.repetition_penalty or self.repeat_penalty,
                "stop": (self.stop,) if isinstance(self.stop, str) else self.stop,
                "stop_token_ids": self.stop_token_ids,
                "max_new_tokens": LONGEST if self.fills_context else self.longest or None,
            }
            | ({name: getattr(form, name) for name in _FORMS} if form else {})
        )
        if self.top_k == -1:
            given["top_k"] = 0
        if self.top_p == 0:
            given["top_p"] = LEAST_TOP_P
        values = defaults.model_dump() | {name: value for name, value in given.items() if value is not None}
        try:
            return SamplingParams.model_validate(values)
        except ValidationError as error:  # what is left: a token that is no number
            raise bad_body(error, SamplingParams.model_fields) from error

    @property
    def form(self) -> Constraint | None:
        """What the reply follows; None leaves it free."""
        return next(iter(self._constraints), None)

    @property
    def choices(self) -> int:
        """How many replies to return to each prompt."""
        return self.n or 1

    @property
    def written(self) -> int:
        """How many replies to write to each prompt, of which the best ``choices`` are returned."""
        return self.choices

    @property
    def include_usage(self) -> bool:
        """Whether a stream tells the numbers of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def longest(self) -> int | None:
        """The longest reply, in tokens; None when the request does not say."""
        given = next((length for length in self._lengths if length is not None), None)
        return None if given == -1 else given

    @property
    def fills_context(self) -> bool:
        """Whether the reply may be as long as the context has room."""
        return -1 in self._lengths

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        """What the request says of the longest reply: the field that counts, and those for when it is left out."""
        return (self.max_tokens,)

    @property
    def _constraints(self) -> list[Constraint]:
        found = [
            self.response_format.constraint if self.response_format else None,
            *(self.structured_outputs.constraints if self.structured_outputs else ()),
            of_schema(self.guided_json, "guided_json") if self.guided_json is not None else None,
            Constraint("guided_regex", regex=self.guided_regex) if self.guided_regex is not None else None,
            Constraint("guided_choice", choice=tuple(self.guided_choice)) if self.guided_choice is not None else None,
        ]
        return [one for one in found if one is not None]

    def seed_of(self, choice: int) -> int | None:
        """The seed of a reply, so that several replies to one prompt differ and can each be had again."""
        return None if self.seed is None or self.seed == -1 else (self.seed + choice) % (MAX_SEED + 1)


class ChatCompletionRequest(GenerationFields):
    """The body of ``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(
        min_length=1,
        description="The conversation. A last message of the assistant's is continued: the reply is the rest of it.",
    )
    max_completion_tokens: int | None = sampling_field(
        "max_new_tokens",
        "Not given: what the checkpoint recommends, or what is left of the context. -1: all that is left.",
        ge=-1,
    )
    max_tokens: int | None = sampling_field("max_new_tokens", "The older name of max_completion_tokens.", ge=-1)
    logprobs: bool | None = Field(None, description="Tell how likely each token was.")
    top_logprobs: int | None = Field(
        None, ge=0, le=50, description="And so many of the likeliest tokens in its place. Needs logprobs."
    )
    continue_final_message: bool | None = Field(
        None,
        description="vLLM's. A last message of the assistant's is continued anyway; true insists that there is one.",
    )
    tools: list[Tool] | None = Field(
        None, description="Functions that the model may call. Baichuan 2 was not trained to."
    )
    tool_choice: ToolChoice | None = Field(
        None,
        description="required, or a function's name: the reply is a call. auto: a call or a text. none: a text. "
        "allowed_tools: auto or required, of some of them.",
    )
    parallel_tool_calls: bool | None = Field(
        None, description=f"false: one call at most. Else up to {MOST_CALLS}, but for a function that is named."
    )
    functions: list[dict[str, JsonValue]] | None = Field(
        None, description='Not supported: only an empty list, or any with "function_call": "none".'
    )
    function_call: JsonValue = None
    modalities: list[Literal["text"]] | None = Field(None, description="There is only text.")

    prediction: JsonValue = ignored()
    reasoning_effort: JsonValue = ignored("the model does not think before it answers")
    reasoning: JsonValue = ignored("the model does not think before it answers")
    thinking: JsonValue = ignored("the model does not think before it answers")
    verbosity: JsonValue = ignored("say in a message how long you want it")
    chat_template_kwargs: JsonValue = ignored("the chat format has no options")
    add_generation_prompt: JsonValue = ignored("see continue_final_message")

    audio: JsonValue = refuses("the model does not speak: leave it out")
    moderation: JsonValue = refuses("nothing is moderated here: leave it out")
    web_search_options: JsonValue = refuses("the model cannot search: leave it out")
    documents: JsonValue = refuses("put them into a message")
    chat_template: JsonValue = refuses("the model's own chat format is used: leave it out")
    echo: JsonValue = refuses("the reply is told without the conversation: leave it out")

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> Self:
        if self.functions and self.function_call != "none":
            raise refused("functions", 'send tools instead, or "function_call": "none"')
        if self.offer and self.messages[-1].role == "assistant":
            raise refused("tools", "a last message of the assistant's is continued, which cannot become a call")
        if self.top_logprobs and not self.logprobs:
            raise refused("top_logprobs", 'it needs "logprobs": true')
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise refused("max_tokens", "max_completion_tokens says otherwise. Send one of them")
        if 0 in (self.max_tokens, self.max_completion_tokens):
            raise refused("max_tokens", "a reply has at least 1 token")
        continues = self.messages[-1].role == "assistant"
        if self.continue_final_message is not None and self.continue_final_message != continues:
            why = "is always continued: leave it out" if continues else "of the assistant's is needed to continue"
            raise refused("continue_final_message", f"a last message {why}")
        return self

    @property
    def conversation(self) -> list[Message]:
        """What the model answers."""
        return to_conversation(self.messages, self.offer.prompt if self.offer else None)

    @cached_property
    def offer(self) -> Offer | None:
        """The functions that the reply may call, if any."""
        most = 1 if self.parallel_tool_calls is False else MOST_CALLS
        functions = {f"tools.{i}.function": tool.function for i, tool in enumerate(self.tools or ())}
        return make_offer(functions, chosen_tools(self.tool_choice, most), super()._constraints)

    @property
    def notes(self) -> list[str]:
        """See ``RequestPart.notes``."""
        return [JOINED] if is_rearranged(self.messages) else []

    @property
    def _constraints(self) -> list[Constraint]:
        forms = super()._constraints
        return [self.offer.constraint(forms[0] if forms else None)] if self.offer and len(forms) < 2 else forms

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return self.max_completion_tokens, self.max_tokens

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
    max_tokens: int | None = sampling_field(
        "max_new_tokens",
        f"0: nothing is written. -1: whatever is left of the context. Not given: {DEFAULT_COMPLETION_TOKENS}.",
        ge=-1,
    )
    echo: bool | None = Field(None, description="Put the prompt before the reply.")
    logprobs: int | None = Field(
        None, ge=0, le=50, description="Tell how likely each token was, and so many of the likeliest in its place."
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
    def _lengths(self) -> tuple[int | None, ...]:
        return self.max_tokens, DEFAULT_COMPLETION_TOKENS

    @property
    def written(self) -> int:
        """See ``GenerationFields.written``."""
        return self.best_of or self.choices


class TokenizeRequest(ModelField):
    """The body of ``POST /tokenize``: a prompt or messages."""

    prompt: str | None = Field(None, description="A text. No control tokens are put before it or read in it.")
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = Field(
        None, description="A conversation: the tokens of all that the model would read."
    )
    add_special_tokens: JsonValue = ignored("the chat format says which there are")
    add_generation_prompt: JsonValue = ignored("the model is always invited to reply")
    return_token_strs: JsonValue = refuses("ask POST /detokenize for single tokens")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise refused("prompt", "send either prompt or messages")
        return self


class DetokenizeRequest(ModelField):
    """The body of ``POST /detokenize``."""

    tokens: list[int]


async def read_request(request: Request, kind: type[T]) -> T:
    """Read the body of a request.

    Raises:
        ApiError: it is too large, no JSON, or not what the endpoint takes.
    """
    try:
        return kind.model_validate(await read_json(request))
    except BodyError as error:
        raise ApiError(failure_of(error)) from error
    except ValidationError as error:
        raise bad_body(error, kind.model_fields) from error
