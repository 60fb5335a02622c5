"""The routes over a scripted engine, served from a thread of the test: for what a real model cannot be told to do."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from components.access.identity import Identity, set_identity
from components.api.request_log import RequestLog
from components.api.routes import build_routes
from components.engine.host import EngineHost, Ready, State
from tests.scripted_engine import ScriptedEngine
from tests.ui.conftest import StillHost

HANDLERS = (
    "components.api.openai.models",
    "components.api.tutorial",
    "components.api.health",
    "components.api.metrics",
)
OWNER = Identity("owner", "test")


@contextmanager
def serving(state: State, monkeypatch: pytest.MonkeyPatch, caller: Identity = OWNER) -> Iterator[str]:
    """The address of a server whose engine host is in this state, and whose every client is this caller."""
    host: EngineHost = StillHost(state)
    for module in HANDLERS:
        monkeypatch.setattr(f"{module}.engine_host", lambda: host)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        app = RequestLog(_let_in(Starlette(routes=build_routes()), caller))
        server = uvicorn.Server(uvicorn.Config(app, ws="none", log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving_engine(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, caller: Identity = OWNER) -> Iterator[str]:
    """The same, with an engine that is ready."""
    with serving(Ready(engine, 1.0), monkeypatch, caller) as address:
        yield address


def _let_in(app: ASGIApp, caller: Identity) -> ASGIApp:
    """Stand in for the access middleware: everybody is this caller."""

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            set_identity(HTTPConnection(scope), caller)
        await app(scope, receive, send)

    return let_in


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within two minutes."""
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
