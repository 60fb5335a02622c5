"""How each API says that somebody may not come in."""

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from components.access.policy import Refused
from components.api.openai.errors import ApiError
from components.api.tutorial import failure

OPENAI_PATHS = ("/v1", "/tokenize", "/detokenize")

_CODES = {
    HTTPStatus.UNAUTHORIZED: "invalid_api_key",
    HTTPStatus.FORBIDDEN: "forbidden_origin",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
}


def refuse(path: str, refused: Refused) -> Response:
    """The answer: in OpenAI's form below its paths, in the tutorial's elsewhere."""
    if is_openai(path):
        error = ApiError(refused.status, refused.reason, code=_CODES.get(refused.status))
        response: Response = JSONResponse(error.body, refused.status)
    else:
        response = failure(refused.status, refused.reason)
    response.headers.update(refused.headers)
    return response


def is_openai(path: str) -> bool:
    """Whether a path, given without the base path, belongs to the OpenAI-compatible API."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in OPENAI_PATHS)
