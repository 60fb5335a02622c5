"""Taking a request's body and an engine's reply, without letting either outgrow or outlive its caller."""

import asyncio
import contextlib

import anyio
from starlette.requests import Request

from components.engine.events import Delta, Finished
from components.engine.interface import Generation

# A reply holds a thread while it is written. A limiter of their own keeps waiting replies from taking the threads
# that Streamlit serves the page's files with.
_reply_threads = anyio.CapacityLimiter(512)


class BodyTooLargeError(ValueError):
    """The request's body is larger than the settings allow."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the whole body, but never more than ``max_bytes`` of it.

    Raises:
        BodyTooLargeError: there is more.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLargeError(f"The body is larger than {max_bytes} bytes. Send a shorter prompt or history.")
    return bytes(body)


async def read_reply(request: Request, generation: Generation) -> tuple[str, Finished]:
    """Wait for the whole reply; when the client hangs up meanwhile, stop writing it.

    Args:
        request: its body must have been read.
        generation: the reply being written.

    Raises:
        EngineError: the reply failed.
    """
    watcher = asyncio.create_task(_cancel_when_gone(request, generation))
    try:
        return await anyio.to_thread.run_sync(_read_all, generation, limiter=_reply_threads)
    finally:
        generation.cancel()
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


def _read_all(generation: Generation) -> tuple[str, Finished]:
    text = ""
    for event in generation:
        match event:
            case Delta(piece):
                text += piece
            case Finished():
                return text, event
    raise AssertionError("an engine's last event is Finished")


async def _cancel_when_gone(request: Request, generation: Generation) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    generation.cancel()
