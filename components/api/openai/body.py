"""Reads the body of a call.

FastAPI would read a body of any size, and by Python's JSON reader, which takes NaN and half characters.
"""

from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from components.api.openai.errors import ApiError, bad_body
from components.api.reading import BodyTooLargeError, read_body
from components.settings import get_settings

T = TypeVar("T", bound=BaseModel)


async def read_call(request: Request, kind: type[T]) -> T:
    """Read the body as a call.

    Raises:
        ApiError: it is too large, no JSON, or not what the call takes.
    """
    try:
        return kind.model_validate_json(await read_body(request, get_settings().max_body_bytes))
    except BodyTooLargeError as error:
        raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except ValidationError as error:
        raise bad_body(error, kind.model_fields) from error
