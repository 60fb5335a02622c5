"""What is sent to ``POST /v1/chat/completions``: OpenAI's fields, vLLM's, and some that other servers know."""

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from components.api.openai.generation_fields import GenerationFields
from components.api.openai.messages import JOINED, ChatMessage, is_rearranged, to_conversation
from components.api.openai.schema_base import ignored, refused, refuses, sampling_field
from components.api.openai.structured_outputs import Constraint
from components.api.openai.tools import (
    Function,
    NamedTool,
    Tool,
    may_call_constraint,
    must_call_constraint,
    tools_prompt,
)
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
        None, description="Functions that the model may call, one a reply. Baichuan 2 was not trained to."
    )
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = Field(
        None, description="required, or a function's name: the reply is a call. auto: a call or a text. none: a text."
    )
    functions: list[dict[str, JsonValue]] | None = Field(
        None, description='Not supported: only an empty list, or any with "function_call": "none".'
    )
    function_call: Literal["none", "auto"] | None = None
    modalities: list[Literal["text"]] | None = Field(None, description="There is only text.")

    parallel_tool_calls: JsonValue = ignored("a reply makes one call at most")
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
        self._check_tools()
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
        prompt = tools_prompt(self.callable_functions, must_call=self.must_call) if self.callable_functions else None
        return to_conversation(self.messages, prompt)

    @property
    def callable_functions(self) -> list[Function]:
        """What the reply may call."""
        functions = [tool.function for tool in self.tools or ()]
        if self.tool_choice == "none":
            return []
        if isinstance(self.tool_choice, NamedTool):
            return [one for one in functions if one.name == self.tool_choice.function.name]
        return functions

    @property
    def must_call(self) -> bool:
        """Whether the reply has to be a call."""
        return self.tool_choice not in (None, "none", "auto")

    @property
    def notes(self) -> list[str]:
        """See ``RequestPart.notes``."""
        return [JOINED] if is_rearranged(self.messages) else []

    @property
    def _constraints(self) -> list[Constraint]:
        found = super()._constraints
        if not self.callable_functions:
            return found
        if self.must_call:
            return [must_call_constraint(self.callable_functions)]
        return [may_call_constraint(self.callable_functions, found[0] if found else None)]

    def _check_tools(self) -> None:
        if self.must_call and not self.callable_functions:
            raise refused("tool_choice", "it names no function that is in tools")
        names = [one.name for one in self.callable_functions]
        if len(set(names)) < len(names):
            raise refused("tools", "two functions have the same name")
        if any(form.grammar for form in super()._constraints) and self.callable_functions:
            raise refused("tools", "a reply that may call them can follow a JSON schema else, and no other form")
        if self.callable_functions and self.messages[-1].role == "assistant":
            raise refused("tools", "a last message of the assistant's is continued, which cannot become a call")

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return self.max_completion_tokens, self.max_tokens

    @property
    def told_logprobs(self) -> int | None:
        """How many alternatives to tell in each token's place; None tells no log probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None
