"""The messages of a chat request, as OpenAI's clients write them, and as the model's chat format takes them."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator
from pydantic_core import PydanticCustomError

from components.api.openai.schema_base import Strict, ignored, one_or_several
from components.api.problems import UNNAMED
from components.model.chat_format import Message, Role


class TextPart(Strict):
    """A piece of a message. There are only pieces of text: the model sees and hears nothing."""

    type: Literal["text"]
    text: str


Content = Annotated[
    Annotated[str, Tag(UNNAMED + "one")] | Annotated[list[TextPart], Field(min_length=1), Tag(UNNAMED + "several")],
    Discriminator(
        one_or_several,
        custom_error_type="content",
        custom_error_message="Input should be a text or a list of text parts",
    ),
]


class ChatMessage(Strict):
    """A turn of the conversation.

    Beside role and content it may hold the empty fields of OpenAI's replies, so a reply can be sent back as it came.
    """

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="developer is another name for system, which may only come first."
    )
    content: Content | None = None
    name: str | None = Field(None, description="Ignored: the chat format has no place for it.")
    refusal: JsonValue = ignored()
    annotations: JsonValue = ignored()
    audio: None = None
    tool_calls: Annotated[list[JsonValue], Field(max_length=0)] | None = None
    function_call: None = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if self.content is None:
            raise PydanticCustomError("refused", "A message needs content")
        return self

    def to_message(self) -> Message:
        """As the chat format takes it; the parts of a message are joined as they are."""
        role: Role = "system" if self.role == "developer" else self.role
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())
        return {"role": role, "content": content}
