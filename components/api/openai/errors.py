"""Everything that goes wrong here, in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``.

Too many waiting is 503, as on ``POST /``; 429 is for a caller who has had its own share. OpenAI's clients wait as long
as ``Retry-After`` says and try again by themselves after either.
"""

import logging
import math
from collections.abc import Collection
from http import HTTPStatus

from fastapi import HTTPException
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.api.problems import problems_of
from components.api.tutorial import LOADING_RETRY_SECONDS
from components.engine.errors import (
    BusyError,
    EngineError,
    EngineNotReadyError,
    LimitError,
    PromptError,
    SchemaError,
)

logger = logging.getLogger(__name__)

WRONG_HERE = "Something went wrong here; the server's log says what."


class ErrorDetails(TypedDict):
    """What is wrong, for people (``message``) and for programs: the field that it is about, and a name for it."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    """The body of every answer that is no success."""

    error: ErrorDetails


class ApiError(HTTPException):
    """A request that gets an error for an answer."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """``retry_after`` is in how many seconds it is worth trying again."""
        headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after is not None else None
        super().__init__(status, message, headers)
        self.body: ErrorBody = {"error": {"message": message, "type": _type_of(status), "param": param, "code": code}}


def bad_body(error: ValidationError, known: Collection[str]) -> ApiError:
    """The answer to a body that does not have the form it should have; ``known`` are the fields it may have."""
    problems = problems_of(error, known)
    message = "; ".join(problem.text for problem in problems) + "."
    return ApiError(HTTPStatus.BAD_REQUEST, message, param=problems[0].field)


def engine_failed(error: EngineError) -> ApiError:
    """The answer when no reply could be written."""
    match error:
        case SchemaError():
            return ApiError(HTTPStatus.BAD_REQUEST, str(error), param="response_format", code="invalid_json_schema")
        case PromptError():
            return ApiError(HTTPStatus.BAD_REQUEST, str(error))
        case EngineNotReadyError():
            status, code, retry_after = HTTPStatus.SERVICE_UNAVAILABLE, "model_not_ready", LOADING_RETRY_SECONDS
        case LimitError():
            status, code, retry_after = HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_exceeded", error.retry_after
        case BusyError():
            status, code, retry_after = HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", error.retry_after
        case _:
            return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
    return ApiError(status, str(error), code=code, retry_after=retry_after)


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what was raised as an ``HTTPException``, here or by the router."""
    assert isinstance(error, StarletteHTTPException)
    if not isinstance(error, ApiError):
        about = f"{request.method} {request.url.path}"
        message = {
            HTTPStatus.NOT_FOUND: f"There is no {about}. GET /docs lists what there is.",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{about} is not possible. GET /docs says what is.",
        }.get(HTTPStatus(error.status_code), str(error.detail))
        headers, error = error.headers, ApiError(HTTPStatus(error.status_code), message)
        error.headers = headers
    return JSONResponse(error.body, error.status_code, error.headers)


async def answer_engine_error(_: Request, error: Exception) -> JSONResponse:
    """Answer what an engine raised."""
    assert isinstance(error, EngineError)
    failed = engine_failed(error)
    return JSONResponse(failed.body, failed.status_code, failed.headers)


async def answer_crash(_: Request, __: Exception) -> JSONResponse:
    """Answer what nobody expected. The server logs the traceback itself."""
    return JSONResponse(ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, WRONG_HERE).body, HTTPStatus.INTERNAL_SERVER_ERROR)


def _type_of(status: HTTPStatus) -> str:
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
