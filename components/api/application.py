"""The HTTP APIs as one FastAPI application, which also describes them: ``/openapi.json`` and ``/docs``."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from components import paths
from components.api import examples
from components.api.docs import docs_page, docs_style
from components.api.health import Health, NotReady, ReadyModel, health, ready
from components.api.openai import response_schemas
from components.api.openai.chat import create_chat_completion
from components.api.openai.chat_request import ChatCompletionRequest
from components.api.openai.completions import create_completion
from components.api.openai.completions_request import CompletionRequest
from components.api.openai.errors import ErrorBody, answer_crash, answer_engine_error, answer_http_error
from components.api.openai.models import list_models, retrieve_model
from components.api.openai.responses import create_response
from components.api.openai.responses_request import ResponsesRequest
from components.api.openai.tokens import detokenize, tokenize
from components.api.openai.tokens_request import DetokenizeRequest, TokenizeRequest
from components.api.tutorial import TutorialError, TutorialRequest, TutorialResponse, create_tutorial_response
from components.engine.errors import EngineError

REF = "#/components/schemas/{model}"

BODIES: tuple[type[BaseModel], ...] = (
    TutorialRequest,
    ChatCompletionRequest,
    CompletionRequest,
    ResponsesRequest,
    TokenizeRequest,
    DetokenizeRequest,
)

TITLE = "Baichuan 2 chat"

DESCRIPTION = (
    "The HTTP APIs of this server. All of them, and the chat page, share one model. The OpenAI-compatible ones are "
    "below /v1: give any client of OpenAI's the base URL that ends in /v1."
)


EVENT = {
    "type": "object",
    "properties": {
        "data": {
            "type": "string",
            "description": "A chunk of the reply as JSON, or an error; [DONE] in the last event.",
        }
    },
    "required": ["data"],
}
"""One server-sent event of a stream."""


class Api(FastAPI):
    """Handlers read their bodies themselves (see ``openai.body``), so their schemas are added here."""

    def openapi(self) -> dict[str, Any]:
        """The description of the APIs, made once."""
        if self.openapi_schema is None:
            description = super().openapi()
            _, definitions = models_json_schema([(body, "validation") for body in BODIES], ref_template=REF)
            description["components"]["schemas"].update(definitions["$defs"])
        assert self.openapi_schema is not None
        return self.openapi_schema


def build_api() -> Api:
    """The application. It does not answer ``GET /``, which is the page."""
    api = Api(
        title=TITLE,
        description=DESCRIPTION,
        version="1",
        docs_url=None,  # FastAPI's pages fetch their scripts from other servers
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: answer_http_error,
            EngineError: answer_engine_error,
            Exception: answer_crash,
        },
    )
    _add_openai(api)
    _add_tutorial(api)
    api.add_api_route(paths.DOCS, docs_page, include_in_schema=False)
    api.add_api_route(paths.DOCS_STYLE, docs_style, include_in_schema=False)
    return api


def _add_openai(api: FastAPI) -> None:
    errors = _errors(ErrorBody, "What is wrong, in OpenAI's form.")
    stream = {200: {"content": {"text/event-stream": {"schema": EVENT}}}}
    shared: dict[str, Any] = {"tags": ["OpenAI"], "responses": errors}
    api.add_api_route(
        paths.CHAT_COMPLETIONS,
        create_chat_completion,
        methods=["POST"],
        summary="Reply to a conversation",
        response_model=response_schemas.ChatCompletion,
        openapi_extra=_body(
            ChatCompletionRequest,
            a_reply=examples.CHAT,
            a_stream=examples.CHAT_STREAM,
            a_json_schema=examples.CHAT_JSON,
        ),
        **shared | {"responses": errors | stream},
    )
    api.add_api_route(
        paths.COMPLETIONS,
        create_completion,
        methods=["POST"],
        summary="Write a text on",
        response_model=response_schemas.Completion,
        openapi_extra=_body(CompletionRequest, a_text=examples.COMPLETION),
        **shared | {"responses": errors | stream},
    )
    api.add_api_route(
        paths.RESPONSES,
        create_response,
        methods=["POST"],
        summary="Reply, in the form of OpenAI's Responses API",
        response_model=response_schemas.ResponsesResponse,
        openapi_extra=_body(ResponsesRequest, a_question=examples.RESPONSE),
        **shared | {"responses": errors | stream},
    )
    api.add_api_route(paths.MODELS, list_models, summary="Which model runs", **shared)
    api.add_api_route(paths.MODEL, retrieve_model, summary="One model", **shared)
    api.add_api_route(
        paths.TOKENIZE,
        tokenize,
        methods=["POST"],
        summary="From text to tokens",
        openapi_extra=_body(TokenizeRequest, a_conversation=examples.TOKENIZE),
        **shared | {"tags": ["Tokens"]},
    )
    api.add_api_route(
        paths.DETOKENIZE,
        detokenize,
        methods=["POST"],
        summary="From tokens to text",
        openapi_extra=_body(DetokenizeRequest, tokens=examples.DETOKENIZE),
        **shared | {"tags": ["Tokens"]},
    )


def _add_tutorial(api: FastAPI) -> None:
    api.add_api_route(
        paths.TUTORIAL,
        create_tutorial_response,
        methods=["POST"],
        summary="Answer a prompt",
        tags=["Tutorial"],
        response_model=TutorialResponse,
        responses=_errors(TutorialError, "What is wrong."),
        openapi_extra=_body(TutorialRequest, a_prompt=examples.TUTORIAL),
    )
    watching: dict[str, Any] = {"methods": ["GET"], "tags": ["Watching"]}
    not_ready: dict[int | str, dict[str, Any]] = {503: {"model": NotReady, "description": "Not yet, or not at all."}}
    api.add_api_route(paths.HEALTH, health, summary="Is the process up?", response_model=Health, **watching)
    api.add_api_route(
        paths.READY, ready, summary="Does the model answer?", response_model=ReadyModel, responses=not_ready, **watching
    )
    for path, endpoint in ((paths.HEALTH, health), (paths.READY, ready)):
        api.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)


def _errors(model: Any, description: str) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": model, "description": description} for status in ("4XX", "5XX")}


def _body(model: type[BaseModel], **shown: dict[str, Any]) -> dict[str, Any]:
    named = {name: {"summary": name.replace("_", " ").capitalize(), "value": value} for name, value in shown.items()}
    content = {"schema": {"$ref": REF.format(model=model.__name__)}, "examples": named}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
