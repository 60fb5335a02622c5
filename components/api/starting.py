"""Asking an engine for replies from the event loop, which must not wait while a long prompt is turned into tokens."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar, TypeVarTuple

import anyio
from starlette.requests import Request

from components.access.identity import identity_of
from components.api.request_log import request_id_of
from components.engine.interface import Engine, Generation, GenerationRequest

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


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
        with ExitStack() as started:
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
