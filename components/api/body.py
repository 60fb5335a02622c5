"""Takes a request's body.

FastAPI would read a body of any size, and by Python's JSON reader, which takes NaN and half characters.
"""

from starlette.requests import Request

from components.api.errors import BodyTooLargeError
from components.settings import get_settings


async def read_body(request: Request) -> bytes:
    """Read the whole body, but never more of it than the settings allow.

    Raises:
        BodyTooLargeError: there is more.
    """
    max_bytes = get_settings().max_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLargeError(f"The body is larger than {max_bytes} bytes. Send a shorter prompt or history.")
    return bytes(body)
