"""What ``POST /v1/responses`` takes: OpenAI's fields, and those for sampling that the other endpoints have, too."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from components.api.openai.generation_fields import LENGTHS, GenerationFields
from components.api.openai.json_schemas import Schema
from components.api.openai.messages import JOINED, ChatMessage, is_rearranged, to_conversation
from components.api.openai.responses_input import InputItems, to_messages
from components.api.openai.responses_tools import AnyTool, ResponsesToolChoice, chosen_function, functions_of
from components.api.openai.schema_base import (
    USE,
    RequestPart,
    ignored,
    one_or_several,
    refused,
    refuses,
    sampling_field,
)
from components.api.openai.structured_outputs import Constraint, JsonSchema, ResponseFormat, of_schema
from components.api.openai.tools import MOST_CALLS, Offer, forms_with_calls, make_offer
from components.api.problems import UNNAMED
from components.model.chat_format import Message

WITH_LOGPROBS = "message.output_text.logprobs"

_STORED = "nothing is stored here. Send the whole conversation in input"


class TextFormat(JsonSchema):
    """``response_format`` as this API writes it: what a JSON schema has stands beside its type."""

    type: Literal["text", "json_object", "json_schema"]
    schema_: Schema | None = Field(None, alias="schema")  # type: ignore[assignment]

    @model_validator(mode="after")
    def _schema_where_needed(self) -> Self:
        if (self.type == "json_schema") != (self.schema_ is not None):
            raise refused("schema", 'it goes with "type": "json_schema", and must be there then')
        return self

    @property
    def constraint(self) -> Constraint | None:
        """What it asks for; None leaves the reply free."""
        if self.schema_ is not None:
            return of_schema(self.schema_, "text.format.schema")
        return ResponseFormat(type="json_object").constraint if self.type == "json_object" else None


class TextOptions(RequestPart):
    """How the text is to be."""

    format: TextFormat | None = None
    verbosity: JsonValue = ignored("say in a message how long you want it")


class ResponsesRequest(GenerationFields):
    """The body of ``POST /v1/responses``."""

    input: Annotated[
        Annotated[str, Field(min_length=1), Tag(UNNAMED + "one")] | Annotated[InputItems, Tag(UNNAMED + "several")],
        Discriminator(
            one_or_several,
            custom_error_type="input",
            custom_error_message="Input should be a text or a list of items",
        ),
    ] = Field(description="A question, or a conversation.")
    instructions: str | None = Field(None, description="A system message before all others.")
    max_output_tokens: int | None = sampling_field("max_new_tokens", "-1: whatever is left of the context.", **LENGTHS)
    text: TextOptions | None = Field(None, description="format: text, json_object or json_schema.")
    top_logprobs: int | None = Field(
        None, ge=0, le=50, description=f"Tell so many of the likeliest tokens. Implies {WITH_LOGPROBS}."
    )
    include: list[str] | None = Field(
        None, description=f"{WITH_LOGPROBS} tells how likely each token was; others change nothing."
    )
    tools: list[AnyTool] | None = Field(
        None, description='Functions that the model may call. Tools of OpenAI\'s only with "tool_choice": "none".'
    )
    tool_choice: ResponsesToolChoice | None = Field(
        None,
        description="required, or a function's name: the response is a call. auto: a call or a text. none: a text. "
        "allowed_tools: auto or required, of some of them.",
    )
    parallel_tool_calls: bool | None = Field(
        None, description=f"false: one call at most. Else up to {MOST_CALLS}, but for a function that is named."
    )
    max_tool_calls: JsonValue = ignored("it limits OpenAI's own tools, and there are none")
    reasoning: JsonValue = ignored("the model does not think before it answers")
    truncation: JsonValue = ignored("a conversation that is too long is refused, never cut")
    context_management: JsonValue = ignored("a conversation that is too long is refused, never cut")

    previous_response_id: JsonValue = refuses(_STORED)
    conversation_: JsonValue = Field(
        None, alias="conversation", description=_STORED, json_schema_extra={USE: "refused"}
    )
    background: JsonValue = refuses("a reply is there when the answer is: leave it out")
    prompt: JsonValue = refuses("there are no stored prompts here: send input and instructions")
    moderation: JsonValue = refuses("nothing is moderated here: leave it out")

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> Self:
        if not self._all_messages:
            raise refused("input", "there is no message in it to answer")
        if self.offer and self._all_messages[-1].role == "assistant":
            raise refused("tools", "a last message of the assistant's is continued, which cannot become a call")
        if self.choices > 1:
            raise refused("n", "a response has one reply: leave it out")
        if self.max_output_tokens == 0:
            raise refused("max_output_tokens", "a reply has at least 1 token")
        return self

    @property
    def conversation(self) -> list[Message]:
        """What the model answers."""
        return to_conversation(self._all_messages, self.offer.prompt if self.offer else None)

    @cached_property
    def offer(self) -> Offer | None:
        """The functions that the response may call, if any."""
        most = 1 if self.parallel_tool_calls is False else MOST_CALLS
        choice = chosen_function(self.tool_choice, most)
        return make_offer(functions_of(self.tools or (), choice), choice, self._asked_for)

    @property
    def notes(self) -> list[str]:
        """See ``RequestPart.notes``."""
        return [*([JOINED] if is_rearranged(self._all_messages) else []), *super().notes]

    @property
    def _lengths(self) -> tuple[int | None, ...]:
        return self.max_output_tokens, self.max_tokens

    @property
    def told_logprobs(self) -> int | None:
        """How many alternatives to tell in each token's place; None tells no log probabilities."""
        is_told = self.top_logprobs is not None or WITH_LOGPROBS in (self.include or ())
        return (self.top_logprobs or 0) if is_told else None

    @property
    def _all_messages(self) -> list[ChatMessage]:
        system = [ChatMessage(role="system", content=self.instructions)] if self.instructions else []
        turns = (
            [ChatMessage(role="user", content=self.input)] if isinstance(self.input, str) else to_messages(self.input)
        )
        return [*system, *turns]

    @cached_property
    def _constraints(self) -> list[Constraint]:
        return forms_with_calls(self.offer, self._asked_for)

    def _forms_asked_for(self) -> list[Constraint]:
        form = self.text and self.text.format and self.text.format.constraint
        return [*super()._forms_asked_for(), *([form] if form else [])]
