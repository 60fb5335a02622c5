"""The fields that all the endpoints that write share: how many replies, how long, how chosen, in what form.

See ``schema_base`` for how they are read, and for the three groups that they are in.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self
from urllib.parse import quote

from pydantic import Field, JsonValue, ValidationError, model_validator

from components.api.openai.errors import bad_body
from components.api.openai.json_schemas import WrittenSchema
from components.api.openai.schema_base import (
    ModelField,
    RequestPart,
    Stop,
    ignored,
    named,
    refused,
    refuses,
    sampling_field,
)
from components.api.openai.structured_outputs import Constraint, ResponseFormat, StructuredOutputs, of_schema
from components.sampling.parameters import LONGEST_FORM, MAX_SEED, SamplingParams, as_meant

MAX_CHOICES = 128
"""OpenAI's own limit of ``n``; how many can be had here also depends on the settings."""

LONGEST = 32768
"""What -1 means for the longest reply, before it is cut to what is left of the context."""

LENGTHS: Mapping[str, int] = {"ge": -1, "le": 2**31 - 1}
"""What is taken for the longest reply. How much a context has room for is said with it, by its own error."""

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
    continuous_usage_stats: bool | None = Field(
        None, description="vLLM's. With include_usage, every chunk counts the tokens of its choice so far."
    )
    include_obfuscation: JsonValue = ignored("nothing is obfuscated")


class GenerationFields(ModelField):
    """What chat completions and completions share."""

    stream: bool | None = Field(None, description="Send the reply as server-sent events while it is written.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(
        None, ge=1, le=MAX_CHOICES, description="How many replies to write. With a seed, reply i has the seed plus i."
    )
    max_tokens: int | None = sampling_field("max_new_tokens", "-1: whatever is left of the context.", **LENGTHS)
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
    prompt_logprobs: JsonValue = refuses("ask POST /v1/completions with echo and logprobs")
    include_stop_str_in_output: JsonValue = refuses("a reply ends before the stop text: leave it out")
    truncate_prompt_tokens: JsonValue = refuses("prompts are never cut: shorten yours")
    bad_words: JsonValue = refuses("send logit_bias with -100 for tokens that must not be written")
    allowed_token_ids: JsonValue = refuses("send logit_bias, or guided_choice")
    logits_processors: JsonValue = refuses("nothing that is sent is executed here")
    guided_grammar: JsonValue = refuses(_NO_GRAMMAR)
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
                "max_new_tokens": LONGEST if self.fills_context else min(self.longest or 0, LONGEST) or None,
            }
            | ({name: getattr(form, name) for name in _FORMS} if form else {})
        )
        values = defaults.model_dump() | as_meant({name: value for name, value in given.items() if value is not None})
        try:
            return SamplingParams.model_validate(values)
        except ValidationError as error:  # what is left: a token that is no number
            raise bad_body(error) from error

    @property
    def form(self) -> Constraint | None:
        """What the reply follows; None leaves it free."""
        return next(iter(self._constraints), None)

    @property
    def notes(self) -> list[str]:
        """See ``RequestPart.notes``: what in schemas the reply is not held to."""
        left_out = [quote(pointer, safe="/#.$-_") for pointer in (self.form.left_out if self.form else ())]
        return [f"The reply is not held to {', '.join(named(left_out))}"] if left_out else []

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
    def continuous_usage(self) -> bool:
        """Whether each chunk of a stream does."""
        return self.include_usage and bool(self.stream_options and self.stream_options.continuous_usage_stats)

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

    @cached_property
    def _constraints(self) -> list[Constraint]:
        """All the forms that the request asks for, of which a reply can follow one."""
        return self._asked_for

    @cached_property
    def _asked_for(self) -> list[Constraint]:
        return self._forms_asked_for()

    def _forms_asked_for(self) -> list[Constraint]:
        """The forms that fields ask for, tools aside."""
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
