"""From a request to an engine's texts: asked for off the event loop, read to their end, stopped when the client leaves.

The event loop must not wait while a long prompt is turned into tokens.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, TypeVarTuple

import anyio
from starlette.requests import Request

from components.access.identity import identity_of
from components.api.request_log import request_id_of
from components.engine.errors import EngineError
from components.engine.events import Delta, Event, Finished, PromptRead
from components.engine.interface import Engine, Generation, GenerationRequest
from components.settings import get_settings

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True)
class GeneratedText:
    """All that came of one generation. ``prompt`` is what was told of its tokens, where that was asked for."""

    deltas: Sequence[Delta]
    finished: Finished
    prompt: PromptRead | None = None

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join(delta.text for delta in self.deltas)


def most_at_once(engine: Engine, request: Request) -> int:
    """How many texts one HTTP request can ever get: with more, it would be told to come again for ever."""
    settings = get_settings()
    places = settings.max_batch + settings.max_queue
    share = engine.limits.most_at_once if identity_of(request).is_limited else None
    return places if share is None else min(places, share)


async def off_the_loop(work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Do in a thread what takes the time of a prompt's tokens."""
    return await anyio.to_thread.run_sync(work, *arguments)


async def start(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Generation]:
    """Start all of the replies or, if one cannot be started, none.

    Raises:
        PromptError: a request cannot be answered.
        QueueFullError: there is no room for all of them.
    """

    def start_all() -> list[Generation]:
        with contextlib.ExitStack() as started:
            generations = [started.enter_context(engine.generate(request)) for request in requests]
            started.pop_all()
        return generations

    return await off_the_loop(start_all)


def asked_by(request: Request, wanted: GenerationRequest) -> GenerationRequest:
    """The same, with who asks for it in which HTTP request."""
    identity = identity_of(request)
    return replace(
        wanted,
        visitor=identity.account,
        address=identity.address,
        limited=identity.is_limited,
        request_id=request_id_of(request.scope),
    )


async def read_texts(request: Request, generations: Sequence[Generation]) -> list[GeneratedText]:
    """Wait for whole texts; when the client hangs up meanwhile, stop writing them.

    Args:
        request: its body must have been read.
        generations: the replies being written.

    Raises:
        EngineError: one of them failed; the others are cancelled.
    """
    watcher = asyncio.create_task(_cancel_when_gone(request, generations))
    deltas: list[list[Delta]] = [[] for _ in generations]
    ends: dict[int, Finished] = {}
    prompts: dict[int, PromptRead] = {}
    try:
        async with contextlib.aclosing(read_events(generations)) as events:
            async for index, event in events:
                match event:
                    case PromptRead():
                        prompts[index] = event
                    case Delta():
                        deltas[index].append(event)
                    case Finished():
                        ends[index] = event
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
    return [GeneratedText(deltas[index], ends[index], prompts.get(index)) for index in range(len(generations))]


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
