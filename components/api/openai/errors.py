"""Everything that goes wrong here, in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``."""

from http import HTTPStatus

from fastapi import HTTPException
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.api.errors import UNEXPECTED, Failure, failure_of
from components.api.problems import problems_of
from components.engine.errors import EngineError


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

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.status, failure.message, dict(failure.headers))
        self.failure = failure


def error_body(failure: Failure) -> ErrorBody:
    """A failure in OpenAI's form."""
    kind = "server_error" if failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return {"error": {"message": failure.message, "type": kind, "param": failure.param, "code": failure.code}}


def error_response(failure: Failure) -> JSONResponse:
    """The answer that says it."""
    return JSONResponse(error_body(failure), failure.status, failure.headers)


def bad_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The answer to what cannot be done; ``param`` is the field that it is about."""
    return ApiError(Failure(HTTPStatus.BAD_REQUEST, message, code, param))


def bad_body(error: ValidationError) -> ApiError:
    """The answer to a body that does not have the form it should have."""
    problems = problems_of(error)
    return bad_request("; ".join(problem.text for problem in problems) + ".", problems[0].field)


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what was raised as an ``HTTPException``, here or by the router."""
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, ApiError):
        return error_response(error.failure)
    about = f"{request.method} {request.url.path}"
    status = HTTPStatus(error.status_code)
    message = {
        HTTPStatus.NOT_FOUND: f"There is no {about}. GET /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{about} is not possible. GET /docs says what is.",
    }.get(status, str(error.detail))
    response = error_response(Failure(status, message))
    response.headers.update(error.headers or {})
    return response


async def answer_engine_error(_: Request, error: Exception) -> JSONResponse:
    """Answer what an engine raised."""
    assert isinstance(error, EngineError)
    return error_response(failure_of(error))


async def answer_crash(_: Request, __: Exception) -> JSONResponse:
    """Answer what nobody expected. The server logs the traceback itself."""
    return error_response(Failure(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED))
