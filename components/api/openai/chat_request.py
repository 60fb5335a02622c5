"""What is sent to ``POST /v1/chat/completions``: OpenAI's fields, vLLM's, and some that other servers know."""

from functools import cached_property
from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from components.api.openai.generation_fields import LENGTHS, GenerationFields
from components.api.openai.messages import JOINED, ChatMessage, is_rearranged, to_conversation
from components.api.openai.schema_base import ignored, refused, refuses, sampling_field
from components.api.openai.structured_outputs import Constraint
from components.api.openai.tools import MOST_CALLS, Offer, Tool, ToolChoice, forms_with_calls, offer_of
from components.model.chat_format import Message


class ChatCompletionRequest(GenerationFields):
    """The body of ``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(
        min_length=1,
        description="The conversation. A last message of the assistant's is continued: the reply is the rest of it.",
    )
    max_completion_tokens: int | None = sampling_field(
        "max_new_tokens",
        "Not given: what the checkpoint recommends, or what is left of the context. -1: all that is left.",
        **LENGTHS,
    )
    max_tokens: int | None = sampling_field("max_new_tokens", "The older name of max_completion_tokens.", **LENGTHS)
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
        return offer_of(self.tools, self.tool_choice, self.parallel_tool_calls, self._asked_for)

    @property
    def notes(self) -> list[str]:
        """See ``RequestPart.notes``."""
        return [*([JOINED] if is_rearranged(self.messages) else []), *super().notes]

    @cached_property
    def _constraints(self) -> list[Constraint]:
        return forms_with_calls(self.offer, self._asked_for)

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return self.max_completion_tokens, self.max_tokens

    @property
    def told_logprobs(self) -> int | None:
        """How many alternatives to tell in each token's place; None tells no log probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None
