"""Takes a request's body: of a bounded size, unpacked, and as JSON in Unicode, however a client wrote it.

FastAPI would read a body of any size, and by Python's JSON reader, which takes NaN and half characters.
"""

import codecs
import json
import zlib
from typing import Any, get_args

from pydantic import BaseModel, JsonValue
from pydantic_core import from_json
from starlette.requests import Request

from components.api.errors import BodyTooLargeError, UnreadableBodyError
from components.settings import get_settings

READ_ON = 16
"""So many times the longest body are read, and thrown away, before a client is told that its own is too long: one that
is cut off while it still sends sees a broken connection instead of the answer."""

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

_HOW = "Send JSON as UTF-8, as json=… in Python's requests and JSON.stringify in JavaScript do."


async def read_json(request: Request) -> JsonValue:
    """Read the whole body, but never hold more of it than the settings allow, packed or unpacked.

    Raises:
        BodyTooLargeError: there is more.
        UnreadableBodyError: it is packed or written in a way that is not known here, or is no JSON.
    """
    longest = get_settings().max_body_bytes
    body = await _read(request, longest)
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    match packing:
        case "" | "identity":
            pass
        case "gzip" | "x-gzip" | "deflate":
            body = _unpack(body, longest)
        case _:
            raise UnreadableBodyError(f"Content-Encoding: {packing[:40]} is not read here. Send gzip, or leave it out.")
    try:
        content: JsonValue = from_json(_as_utf8(body), allow_inf_nan=False)
    except ValueError as error:
        raise UnreadableBodyError(f"The body is not JSON ({error}).") from error
    return content


def lenient(kind: type[BaseModel], data: Any) -> Any:
    """What a model's fields are read from: ``null`` is the same as leaving one out, and ``4.0`` is an integer."""
    if not isinstance(data, dict):
        return data
    fields = kind.model_fields.items()
    integers = {field.alias or name for name, field in fields if _takes_integers(field.annotation)}
    given = {name: value for name, value in data.items() if value is not None}
    return {name: _whole(value) if name in integers else value for name, value in given.items()}


async def _read(request: Request, longest: int) -> bytes:
    body, received = bytearray(), 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > READ_ON * longest:
            break
        if received <= longest:
            body += chunk
    if received > longest:
        raise _too_large(longest)
    return bytes(body)


def _unpack(body: bytes, longest: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        unpacked = unpacker.decompress(body, longest + 1)
    except zlib.error as error:
        raise UnreadableBodyError(f"The body is not what its Content-Encoding says: {error}.") from error
    if len(unpacked) > longest:
        raise _too_large(longest)
    if not unpacker.eof:
        raise UnreadableBodyError("The body ends in the middle of what its Content-Encoding packs.")
    return unpacked


def _as_utf8(body: bytes) -> bytes:
    if not body:
        return body
    encoding = json.detect_encoding(body)
    if encoding == "utf-8":
        _check_utf8(body)
        return body
    try:
        return body.decode(encoding).encode()
    except UnicodeError as error:
        raise UnreadableBodyError(f"The body begins like {encoding.upper()} but is not. {_HOW}") from error


def _check_utf8(body: bytes) -> None:
    try:
        codecs.decode(body, "utf-8")
    except UnicodeDecodeError as error:
        where = f"The body is not UTF-8 (byte {error.start + 1})"
        try:
            body.decode("gb18030")
        except UnicodeDecodeError:
            raise UnreadableBodyError(f"{where}. {_HOW}") from error
        raise UnreadableBodyError(f"{where}; it looks like GBK, which Chinese Windows writes. {_HOW}") from error


def _too_large(longest: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {longest} bytes. Send a shorter prompt or history.")


def _takes_integers(annotation: Any) -> bool:
    return annotation is int or any(map(_takes_integers, get_args(annotation)))


def _whole(value: Any) -> Any:
    """``4`` for ``4.0``, in lists as well."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
