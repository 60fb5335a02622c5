"""Server-sent events, as a server of our own sends them: one line of JSON each.

The official client makes an object with a type of every field of every event; here an event costs a ``json.loads``. All
that has come at once becomes one part, so whoever reads slowly is woken less often, not more.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from httpx2 import RemoteProtocolError, Request, TransportError
from openai import APIConnectionError, APIError

from components.engine.remote.chunks import Part

DATA = b"data:"
END = b"[DONE]"


async def read_events(
    content: AsyncIterator[bytes], read: Callable[[Any], Part], request: Request
) -> AsyncGenerator[Part, None]:
    """The parts of a stream, those that came together joined.

    Args:
        content: what comes, cut anywhere.
        read: reads an event.
        request: what was asked, for errors.

    Raises:
        openai.APIError: the stream breaks off, or the server says that it failed.
        json.JSONDecodeError: an event is no JSON.
    """
    unread = b""
    try:
        async for piece in content:
            *lines, unread = (unread + piece).split(b"\n")
            parts = []
            for line in lines:
                data = line[len(DATA) :].strip() if line.startswith(DATA) else b""
                if not data or data == END:
                    continue
                event = json.loads(data)
                if isinstance(event, dict) and (error := event.get("error")):
                    raise APIError(_message(error), request, body=error)
                parts.append(read(event))
            if parts:
                yield joined(parts)
    except RemoteProtocolError as error:
        raise APIConnectionError(message="it ended in the middle of the reply", request=request) from error
    except TransportError as error:
        raise APIConnectionError(request=request) from error


def joined(parts: list[Part]) -> Part:
    """Parts that follow each other, as one."""
    if len(parts) == 1:
        return parts[0]
    last = parts[-1]
    return Part(
        "".join(part.text for part in parts),
        tuple(token for part in parts for token in part.tokens),
        next((part.end for part in parts if part.end), None),
        next((part.usage for part in reversed(parts) if part.usage), None),
        last.fingerprint,
        tuple(id_ for part in parts for id_ in part.ids),
        tuple(step for part in parts for step in part.scores),
        next((part.reused for part in reversed(parts) if part.reused is not None), None),
        sum(part.without_id for part in parts),
    )


def _message(error: object) -> str:
    return str(error.get("message") or error) if isinstance(error, dict) else str(error)
