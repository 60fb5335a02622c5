"""``POST /tokenize`` and ``POST /detokenize``, in vLLM's form."""

from fastapi import Response
from starlette.requests import Request

from components.api.generation import off_the_loop
from components.api.openai.models import engine_for
from components.api.openai.response_schemas import DetokenizeResponse, TokenizeResponse
from components.api.openai.schema_base import read_request
from components.api.openai.tokens_request import DetokenizeRequest, TokenizeRequest


async def tokenize(request: Request, response: Response) -> TokenizeResponse:
    """The token ids of a text, or of a conversation as the model reads it."""
    body = await read_request(request, TokenizeRequest)
    response.headers.update(body.response_headers())
    engine = engine_for(body.model)
    text = body.prompt if body.prompt is not None else body.conversation
    tokens = await off_the_loop(lambda: engine.tokenize(text, invites=body.invites))
    return {"tokens": tokens, "count": len(tokens), "max_model_len": engine.info.context_length}


async def detokenize(request: Request, response: Response) -> DetokenizeResponse:
    """The text of token ids, control tokens written out."""
    body = await read_request(request, DetokenizeRequest)
    response.headers.update(body.response_headers())
    engine = engine_for(body.model)
    return {"prompt": await off_the_loop(engine.detokenize, body.tokens)}
