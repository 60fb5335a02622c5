"""The messages of a chat request, as OpenAI's clients write them, and as the model's chat format takes them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator
from pydantic_core import PydanticCustomError

from components.api.openai.schema_base import RequestPart, ignored, one_or_several, refuses
from components.api.openai.tool_calls import EarlierCall
from components.api.problems import UNNAMED
from components.model.chat_format import Message

EMPTY_REPLY: Message = {"role": "assistant", "content": ""}

JOINED = "The system messages were joined in front of the conversation: the chat format has one place for them"


class TextPart(RequestPart):
    """A piece of a message. There are only pieces of text: the model sees and hears nothing."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class RefusalPart(RequestPart):
    """What another model said instead of an answer."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        """What it says."""
        return self.refusal


def _kind_of_part(value: object) -> str:
    return UNNAMED + ("refusal" if isinstance(value, dict) and value.get("type") == "refusal" else "text")


Part = Annotated[
    Annotated[TextPart, Tag(UNNAMED + "text")] | Annotated[RefusalPart, Tag(UNNAMED + "refusal")],
    Discriminator(_kind_of_part),
]

Content = Annotated[
    Annotated[str, Tag(UNNAMED + "one")] | Annotated[list[Part], Tag(UNNAMED + "several")],
    Discriminator(
        one_or_several,
        custom_error_type="content",
        custom_error_message="Input should be a text or a list of text parts",
    ),
]


def text_of(content: str | Sequence[TextPart | RefusalPart] | None) -> str:
    """What a content says; its parts are joined as they are."""
    return content if isinstance(content, str) else "".join(part.text for part in content or ())


class ChatMessage(RequestPart):
    """A turn of the conversation, which may hold all that OpenAI's replies do: they can be sent back as they came."""

    role: Literal["system", "developer", "user", "assistant", "tool"] = Field(
        description="developer is another name for system. System messages are joined in front; what a tool answered "
        "is told to the model as a user's message."
    )
    content: Content | None = None
    name: JsonValue = ignored("the chat format has no place for it")
    refusal: str | None = Field(None, description="What an assistant's message says that has no content.")
    annotations: JsonValue = ignored()
    reasoning_content: JsonValue = ignored("what a model thought is not part of what it said")
    audio: JsonValue = refuses("the model does not hear: send its transcript as content")
    tool_calls: list[EarlierCall] | None = Field(None, description="Calls that the model made in this reply.")
    tool_call_id: str | None = Field(None, description="Which of the calls before it a tool's message answers.")
    function_call: JsonValue = refuses("send tool_calls, and the answer as a message with the role tool")

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        # A reply may be empty, as this server's are that must be a call and were ended before it; and so may what a
        # tool answers.
        if self.role not in ("assistant", "tool") and self.content in (None, []):
            raise PydanticCustomError("refused", "A message needs content")
        return self

    @property
    def is_system(self) -> bool:
        """Whether it is an instruction."""
        return self.role in ("system", "developer")

    @property
    def text(self) -> str:
        """What it says, with the calls in it."""
        said = text_of(self.content) or self.refusal or ""
        if self.role == "tool":
            return f"<tool_response>{said}</tool_response>"
        return "\n".join([*([said] if said else []), *(call.text for call in self.tool_calls or ())])


def to_conversation(messages: Sequence[ChatMessage], added: str | None = None) -> list[Message]:
    """As the chat format takes it: at most one system message, in front, to which something may be ``added``."""
    system = [*(message.text for message in messages if message.is_system), *([added] if added else [])]
    turns = list(_turns([message for message in messages if not message.is_system]))
    if len(turns) > 1 and turns[-1] == EMPTY_REPLY:
        turns.pop()  # a template would end it before it can be continued
    return [{"role": "system", "content": "\n\n".join(system)}, *turns] if system else turns


def _turns(messages: Sequence[ChatMessage]) -> Iterator[Message]:
    """The turns; what tools answered to the calls of one reply is one turn, in the order of the calls."""
    calls: list[str | None] = []
    for is_tool, group in groupby(messages, lambda message: message.role == "tool"):
        if is_tool:
            places = {call: place for place, call in enumerate(calls)}
            answers = sorted(group, key=lambda one: places.get(one.tool_call_id, len(places)))
            yield {"role": "user", "content": "\n".join(answer.text for answer in answers)}
            continue
        for message in group:
            calls = [call.id for call in message.tool_calls or ()]
            yield {"role": "assistant" if message.role == "assistant" else "user", "content": message.text}


def is_rearranged(messages: Sequence[ChatMessage]) -> bool:
    """Whether ``to_conversation`` changes their order or their number."""
    return any(message.is_system for message in messages[1:])
