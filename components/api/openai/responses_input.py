"""The items of ``input`` to ``POST /v1/responses``, and the messages that they are."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Discriminator, Field, JsonValue, Tag

from components.api.openai.messages import ChatMessage, Content
from components.api.openai.schema_base import RequestPart, ignored
from components.api.openai.tool_calls import EarlierCall, EarlierFunction
from components.api.problems import UNNAMED


class InputMessage(ChatMessage):
    """A turn of the conversation, or one of the replies of an earlier response, sent back as it came."""

    type: Literal["message"] | None = None
    id: JsonValue = ignored()
    status: JsonValue = ignored()


class EarlierItem(RequestPart):
    """An item of an earlier response, sent back as it came."""

    id: JsonValue = ignored()
    status: JsonValue = ignored()


class FunctionCallItem(EarlierItem):
    """A call that the model made."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str = "{}"


class FunctionCallOutputItem(EarlierItem):
    """What a function answered."""

    type: Literal["function_call_output"]
    call_id: str
    output: Content | None = None


class ReasoningItem(EarlierItem):
    """What another model thought before it answered: not part of what it said."""

    type: Literal["reasoning"]
    summary: JsonValue = ignored()
    content: JsonValue = ignored()
    encrypted_content: JsonValue = ignored()


class OtherItem(RequestPart):
    """An item that is not known here: its type is what is wrong with it."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"]


_KINDS = ("function_call", "function_call_output", "reasoning")


def _kind_of_item(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return UNNAMED + (kind if kind in _KINDS else "message" if kind in (None, "message") else "other")


InputItem = Annotated[
    Annotated[InputMessage, Tag(UNNAMED + "message")]
    | Annotated[FunctionCallItem, Tag(UNNAMED + "function_call")]
    | Annotated[FunctionCallOutputItem, Tag(UNNAMED + "function_call_output")]
    | Annotated[ReasoningItem, Tag(UNNAMED + "reasoning")]
    | Annotated[OtherItem, Tag(UNNAMED + "other")],
    Discriminator(_kind_of_item),
]

InputItems = Annotated[list[InputItem], Field(min_length=1)]


def to_messages(items: Sequence[InputItem]) -> list[ChatMessage]:
    """The conversation; the calls of one reply belong to one message, and to what was said before them."""
    messages: list[ChatMessage] = []
    for item in items:
        match item:
            case InputMessage():
                messages.append(item)
            case FunctionCallItem():
                function = EarlierFunction(name=item.name, arguments=item.arguments)
                call = EarlierCall(id=item.call_id, function=function)
                if messages and messages[-1].role == "assistant":
                    last = messages.pop()
                    calls = [*(last.tool_calls or ()), call]
                    messages.append(last.model_copy(update={"tool_calls": calls}))
                else:
                    messages.append(ChatMessage(role="assistant", tool_calls=[call]))
            case FunctionCallOutputItem():
                messages.append(ChatMessage(role="tool", tool_call_id=item.call_id, content=item.output))
    return messages
