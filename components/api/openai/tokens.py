"""``POST /tokenize`` and ``POST /detokenize``, in vLLM's form."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from starlette.requests import Request

from components.api.openai.answers import Text, TokenList
from components.api.openai.body import read_call
from components.api.openai.calls import refused
from components.api.openai.fields import Strict
from components.api.openai.messages import ChatMessage
from components.api.openai.running import running_engine
from components.api.starting import off_the_loop


class TokenizeCall(Strict):
    """The body of ``POST /tokenize``: a prompt or messages."""

    model: str | None = Field(None, description="The id that GET /v1/models tells. Not given: the model that runs.")
    prompt: str | None = Field(None, description="A text. No control tokens are put before it or read in it.")
    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = Field(
        None, description="A conversation: the tokens of all that the model would read."
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise refused("prompt", "send either prompt or messages")
        return self


class DetokenizeCall(Strict):
    """The body of ``POST /detokenize``."""

    model: str | None = Field(None, description="The id that GET /v1/models tells. Not given: the model that runs.")
    tokens: list[int]


async def tokenize(request: Request) -> TokenList:
    """The token ids of a text, or of a conversation as the model reads it."""
    call = await read_call(request, TokenizeCall)
    engine = running_engine(call.model)
    text = call.prompt if call.prompt is not None else [message.to_message() for message in call.messages or ()]
    tokens = await off_the_loop(engine.tokenize, text)
    return {"tokens": tokens, "count": len(tokens), "max_model_len": engine.info.context_length}


async def detokenize(request: Request) -> Text:
    """The text of token ids, control tokens written out."""
    call = await read_call(request, DetokenizeCall)
    engine = running_engine(call.model)
    return {"prompt": await off_the_loop(engine.detokenize, call.tokens)}
