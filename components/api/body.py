"""Takes a request's body: of a bounded size, unpacked, and as JSON in Unicode, however a client wrote it.

FastAPI would read a body of any size, and by Python's JSON reader, which takes NaN and half characters.
"""

import codecs
import json
import zlib
from typing import Any, get_args

from pydantic import BaseModel, JsonValue
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from components.api.errors import BodyTooLargeError, UnreadableBodyError
from components.settings import get_settings

READ_ON = 16
"""So many times the longest body are read, and thrown away, before a client is told that its own is too long: one that
is cut off while it still sends sees a broken connection instead of the answer."""

MOST_MEMBERS = 64
"""Of what is packed piece by piece: each costs a look at all that follows."""

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS
"""Deflate without a header: HTTP's name for the one with a header misled some who write clients."""

_HOW = "Send JSON as UTF-8, as json=… in Python's requests and JSON.stringify in JavaScript do."


async def read_json(request: Request) -> JsonValue:
    """Read the whole body, but never hold more of it than the settings allow, packed or unpacked.

    Raises:
        BodyTooLargeError: there is more.
        UnreadableBodyError: it is packed or written in a way that is not known here, is no JSON, or ends too early.
    """
    longest = get_settings().max_body_bytes
    body = await _read(request, longest)
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    match packing:
        case "" | "identity":
            pass
        case "gzip" | "x-gzip" | "deflate":
            body = _unpack(body, longest, may_be_raw=packing == "deflate")
        case _:
            raise UnreadableBodyError(f"Content-Encoding: {packing[:40]} is not read here. Send gzip, or leave it out.")
    text = _as_utf8(body)
    try:
        content: JsonValue = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        if "hex escape" in str(error) and _is_json(text):  # to Python's reader, which takes halves
            raise _half_character(str(error)) from error
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
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > READ_ON * longest:
                break
            if received <= longest:
                body += chunk
    except ClientDisconnect as error:  # nobody hears of it, and nothing is wrong here
        raise UnreadableBodyError("The client left before its body was there.") from error
    if received > longest:
        raise _too_large(longest)
    return bytes(body)


def _unpack(body: bytes, longest: int, *, may_be_raw: bool) -> bytes:
    unpacked, rest = b"", body
    for _ in range(MOST_MEMBERS):
        unpacker = zlib.decompressobj(_RAW if may_be_raw and not _has_header(rest) else _GZIP_OR_ZLIB)
        try:
            unpacked += unpacker.decompress(rest, longest + 1 - len(unpacked))
        except zlib.error as error:
            raise UnreadableBodyError(f"The body is not what its Content-Encoding says: {error}.") from error
        if len(unpacked) > longest:
            raise _too_large(longest)
        if not unpacker.eof:
            raise UnreadableBodyError("The body ends in the middle of what its Content-Encoding packs.")
        rest = unpacker.unused_data.lstrip(b"\0")  # what tar and some libraries fill up with
        if not rest:
            return unpacked
    raise UnreadableBodyError(f"The body is packed in more than {MOST_MEMBERS} pieces. Pack it in one.")


def _has_header(packed: bytes) -> bool:
    is_zlib = len(packed) > 1 and packed[0] & 15 == zlib.DEFLATED and int.from_bytes(packed[:2]) % 31 == 0
    return is_zlib or packed.startswith(b"\x1f\x8b")


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
        if _is_half(body, encoding):
            raise _half_character(f"in {encoding.upper()}") from error
        raise UnreadableBodyError(f"The body begins like {encoding.upper()} but is not. {_HOW}") from error


def _check_utf8(body: bytes) -> None:
    try:
        codecs.decode(body, "utf-8")
    except UnicodeDecodeError as error:
        if _is_half(body, "utf-8"):
            raise _half_character(f"at byte {error.start + 1}") from error
        where = f"The body is not UTF-8 (byte {error.start + 1})"
        try:
            body.decode("gb18030")
        except UnicodeDecodeError:
            raise UnreadableBodyError(f"{where}. {_HOW}") from error
        raise UnreadableBodyError(f"{where}; it looks like GBK, which Chinese Windows writes. {_HOW}") from error


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_half(body: bytes, encoding: str) -> bool:
    """Whether nothing is wrong with a text but that it has halves of characters."""
    try:
        body.decode(encoding, "surrogatepass")
    except UnicodeError:
        return False
    return True


def _half_character(where: str) -> UnreadableBodyError:
    return UnreadableBodyError(
        f"The body has half a character, a surrogate without the other ({where}): a text was cut within an emoji "
        "or the like. Send whole characters."
    )


def _too_large(longest: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {longest} bytes. Send a shorter prompt or history.")


def _takes_integers(annotation: Any) -> bool:
    return annotation is int or any(map(_takes_integers, get_args(annotation)))


def _whole(value: Any) -> Any:
    """``4`` for ``4.0``, in lists as well."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
