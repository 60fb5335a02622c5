"""What goes wrong, and the HTTP status that it is: one table for every API, each of which puts it into its own form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from components.engine.errors import (
    BusyError,
    EngineError,
    EngineNotReadyError,
    LimitError,
    PromptError,
    SchemaError,
)

LOADING_RETRY_SECONDS = 10.0

UNEXPECTED = "Something went wrong here; the server's log says what."
"""All that a client hears of a crash."""


class BodyError(ValueError):
    """The request's body cannot be read."""


class BodyTooLargeError(BodyError):
    """It is larger than the settings allow."""


class UnreadableBodyError(BodyError):
    """It is packed or written in a way that is not known here, or is no JSON."""


@dataclass(frozen=True)
class Failure:
    """An answer that is no success.

    Attributes:
        status: what HTTP calls it.
        message: what is wrong and what to do, for people.
        code: OpenAI's name for it, for programs.
        param: the field that it is about.
        retry_after: in how many seconds it is worth trying again.
    """

    status: HTTPStatus
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with it."""
        return {} if self.retry_after is None else {"Retry-After": str(math.ceil(self.retry_after))}


def failure_of(error: EngineError | BodyError) -> Failure:
    """The answer to an error.

    Too many waiting is 503; 429 is for a caller who has had its own share. OpenAI's clients wait as long as
    ``Retry-After`` says and try again by themselves after either.
    """
    message = str(error)
    match error:
        case BodyTooLargeError():
            return Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        case BodyError():
            return Failure(HTTPStatus.BAD_REQUEST, message)
        case SchemaError():
            return Failure(HTTPStatus.BAD_REQUEST, message, "invalid_json_schema", "response_format")
        case PromptError():
            return Failure(HTTPStatus.BAD_REQUEST, message)
        case EngineNotReadyError():
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return Failure(status, message, "model_not_ready", retry_after=LOADING_RETRY_SECONDS)
        case LimitError(retry_after=seconds):
            return Failure(HTTPStatus.TOO_MANY_REQUESTS, message, "rate_limit_exceeded", retry_after=seconds)
        case BusyError(retry_after=seconds):
            return Failure(HTTPStatus.SERVICE_UNAVAILABLE, message, "overloaded", retry_after=seconds)
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, message)
