"""What is sent to ``POST /tokenize`` and ``POST /detokenize``."""

from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from components.api.openai.messages import ChatMessage
from components.api.openai.schema_base import ModelField, ignored, refused, refuses


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
