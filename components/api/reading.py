"""Taking a request's body and an engine's replies, without letting either outgrow or outlive its caller."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from components.engine.errors import EngineError
from components.engine.events import Delta, Event, Finished
from components.engine.interface import Generation


class BodyTooLargeError(ValueError):
    """The request's body is larger than the settings allow."""


@dataclass(frozen=True)
class Reply:
    """A reply that is written to its end."""

    deltas: Sequence[Delta]
    finished: Finished

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(delta.text for delta in self.deltas)


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


async def read_replies(request: Request, generations: Sequence[Generation]) -> list[Reply]:
    """Wait for whole replies; when the client hangs up meanwhile, stop writing them.

    Args:
        request: its body must have been read.
        generations: the replies being written.

    Raises:
        EngineError: one of them failed; the others are cancelled.
    """
    watcher = asyncio.create_task(_cancel_when_gone(request, generations))
    deltas: list[list[Delta]] = [[] for _ in generations]
    ends: dict[int, Finished] = {}
    try:
        async with contextlib.aclosing(read_events(generations)) as events:
            async for index, event in events:
                match event:
                    case Delta():
                        deltas[index].append(event)
                    case Finished():
                        ends[index] = event
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
    return [Reply(deltas[index], ends[index]) for index in range(len(generations))]


async def read_events(generations: Sequence[Generation]) -> AsyncGenerator[tuple[int, Event]]:
    """What happens to several replies, as it happens, each event with the index of its reply.

    Ends when all have finished. Closed before that, it cancels them.

    Raises:
        EngineError: one of them failed; the others are cancelled.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[tuple[int, Event | EngineError]] = asyncio.Queue()

    def forward(index: int, generation: Generation) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: the server goes down
            try:
                for event in generation:
                    loop.call_soon_threadsafe(events.put_nowait, (index, event))
            except EngineError as error:
                loop.call_soon_threadsafe(events.put_nowait, (index, error))

    try:
        for index, generation in enumerate(generations):
            # A thread of its own, because it waits as long as the reply takes: a pool that also serves the page's
            # files would be empty soon. The engine's queue bounds how many there are.
            threading.Thread(target=forward, args=(index, generation), name="reply", daemon=True).start()
        unfinished = len(generations)
        while unfinished:
            index, event = await events.get()
            if isinstance(event, EngineError):
                raise event
            if isinstance(event, Finished):
                unfinished -= 1
            yield index, event
    finally:
        for generation in generations:
            generation.cancel()


async def _cancel_when_gone(request: Request, generations: Sequence[Generation]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    for generation in generations:
        generation.cancel()
