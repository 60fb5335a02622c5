"""The messages of a chat request, as OpenAI's clients write them, and as the model's chat format takes them."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator
from pydantic_core import PydanticCustomError

from components.api.openai.schema_base import RequestPart, ignored, one_or_several, refuses
from components.api.openai.tools import EarlierCall
from components.api.problems import UNNAMED
from components.model.chat_format import Message

JOINED = "The system messages were joined in front of the conversation: the chat format has one place for them"


class TextPart(RequestPart):
    """A piece of a message. There are only pieces of text: the model sees and hears nothing."""

    type: Literal["text", "input_text", "output_text"]
    text: str


Content = Annotated[
    Annotated[str, Tag(UNNAMED + "one")] | Annotated[list[TextPart], Field(min_length=1), Tag(UNNAMED + "several")],
    Discriminator(
        one_or_several,
        custom_error_type="content",
        custom_error_message="Input should be a text or a list of text parts",
    ),
]


class ChatMessage(RequestPart):
    """A turn of the conversation, which may hold all that OpenAI's replies do: they can be sent back as they came."""

    role: Literal["system", "developer", "user", "assistant", "tool"] = Field(
        description="developer is another name for system. System messages are joined in front; what a tool answered "
        "is told to the model as a user's message."
    )
    content: Content | None = None
    name: JsonValue = ignored("the chat format has no place for it")
    refusal: JsonValue = ignored()
    annotations: JsonValue = ignored()
    reasoning_content: JsonValue = ignored("what a model thought is not part of what it said")
    audio: JsonValue = refuses("the model does not hear: send its transcript as content")
    tool_calls: list[EarlierCall] | None = Field(None, description="Calls that the model made in this reply.")
    tool_call_id: JsonValue = ignored("a tool's answer belongs to the call before it")
    function_call: JsonValue = refuses("send tool_calls, and the answer as a message with the role tool")

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.content is None and not self.tool_calls:
            raise PydanticCustomError("refused", "A message needs content")
        return self

    @property
    def is_system(self) -> bool:
        """Whether it is an instruction."""
        return self.role in ("system", "developer")

    @property
    def text(self) -> str:
        """What it says, with the calls in it; its parts are joined as they are."""
        said = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())
        if self.role == "tool":
            return f"<tool_response>{said}</tool_response>"
        return "\n".join([*([said] if said else []), *(call.text for call in self.tool_calls or ())])


def to_conversation(messages: Sequence[ChatMessage], added: str | None = None) -> list[Message]:
    """As the chat format takes it: at most one system message, in front, to which something may be ``added``."""
    system = [*(message.text for message in messages if message.is_system), *([added] if added else [])]
    turns: list[Message] = [
        {"role": "assistant" if message.role == "assistant" else "user", "content": message.text}
        for message in messages
        if not message.is_system
    ]
    return [{"role": "system", "content": "\n\n".join(system)}, *turns] if system else turns


def is_rearranged(messages: Sequence[ChatMessage]) -> bool:
    """Whether ``to_conversation`` changes their order or their number."""
    return any(message.is_system for message in messages[1:])
