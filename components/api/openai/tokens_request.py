"""What is sent to ``POST /tokenize`` and ``POST /detokenize``."""

from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from components.api.openai.messages import ChatMessage, to_conversation
from components.api.openai.schema_base import ModelField, ignored, refused, refuses
from components.api.openai.tools import Tool, ToolChoice, offer_of
from components.model.chat_format import Message


class TokenizeRequest(ModelField):
    """The body of ``POST /tokenize``: a prompt or messages."""

    prompt: str | None = Field(None, description="A text. No control tokens are put before it or read in it.")
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = Field(
        None, description="A conversation: the tokens of all that the model would read."
    )
    tools: list[Tool] | None = Field(None, description="What the model would read of them counts, too.")
    tool_choice: ToolChoice | None = Field(None, description="As in a chat: what it reads depends on it.")
    parallel_tool_calls: bool | None = Field(None, description="And on this.")
    add_generation_prompt: bool | None = Field(
        None, description="false: the messages alone, without what invites the model to reply."
    )
    continue_final_message: bool | None = Field(
        None, description="A last message of the assistant's is continued, unless add_generation_prompt is false."
    )
    add_special_tokens: JsonValue = ignored("the chat format says which there are")
    return_token_strs: JsonValue = refuses("ask POST /detokenize for single tokens")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise refused("prompt", "send either prompt or messages")
        offer_of(self.tools, self.tool_choice, self.parallel_tool_calls)  # says what is wrong with them
        return self

    @property
    def conversation(self) -> list[Message]:
        """What the model would read."""
        offer = offer_of(self.tools, self.tool_choice, self.parallel_tool_calls)
        return to_conversation(self.messages or [], offer.prompt if offer else None)

    @property
    def invites(self) -> bool:
        """Whether the invitation to reply counts."""
        return self.add_generation_prompt is not False or bool(self.continue_final_message)


class DetokenizeRequest(ModelField):
    """The body of ``POST /detokenize``."""

    tokens: list[int]
