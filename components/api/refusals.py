"""How each API says that somebody may not come in."""

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from components.access.policy import Refused
from components.api.errors import Failure
from components.api.openai.errors import error_response
from components.api.tutorial import failure_response
from components.paths import is_openai

_CODES = {
    HTTPStatus.UNAUTHORIZED: "invalid_api_key",
    HTTPStatus.FORBIDDEN: "forbidden_origin",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
}


def refuse(path: str, refused: Refused) -> Response:
    """The answer: in OpenAI's form below its paths, in the tutorial's elsewhere."""
    failure = Failure(refused.status, refused.reason, _CODES.get(refused.status))
    response: JSONResponse = (error_response if is_openai(path) else failure_response)(failure)
    response.headers.update(refused.headers)
    return response
