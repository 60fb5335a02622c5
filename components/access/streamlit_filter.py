"""ASGI middleware that keeps browsers to what this page uses of Streamlit, and to what one of them may have of it.

It stands behind the access middleware: whom it lets through, strangers on their way to an OpenID provider included, is
a browser with this page, or says so.
"""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.access.address import below_base
from components.access.identity import Identity, identity_of
from components.access.middleware import Refuse
from components.access.policy import Refused
from components.access.streamlit_protocol import STREAM_PATH, Violation, may_request, may_send, uploading_tab
from components.access.uploads import Uploads
from components.settings import Settings, get_settings

logger = logging.getLogger(__name__)

MAX_STREAMS_PER_NETWORK = 200
"""Tabs that visitors may have open at once from one network address. A class of sixty behind one router is below it;
each tab costs the server a session, and whoever has the code could open any number of them."""

MESSAGES_PER_SECOND = 20.0
BURST_MESSAGES = 60
"""What a browser may send at once; then each message waits its turn, because each can start a run of the page."""

NOT_SERVED = "This server does not offer this part of Streamlit: its page does not use it."


class StreamlitFilter:
    """Lets through requests and messages that this page makes."""

    def __init__(self, app: ASGIApp, refuse: Refuse, settings: Settings | None = None) -> None:
        self._app = app
        self._refuse = refuse
        self._settings = settings or get_settings()
        self._uploads = Uploads(self._settings.max_import_bytes)
        self._open_streams: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what this page makes; refuse the rest here."""
        if scope["type"] == "http":
            path = below_base(scope["path"])
            if scope["method"] == "PUT" and (tab := uploading_tab("PUT", path)) is not None:
                await self._upload(tab, scope, receive, send)
            elif may_request(scope["method"], path, sign_in=self._settings.sign_in):
                await self._app(scope, receive, send)
            else:
                await self._refuse(path, Refused(HTTPStatus.NOT_FOUND, NOT_SERVED))(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _upload(self, tab: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._uploads.admitted(Request(scope), tab):
                await self._app(scope, receive, send)
        except Refused as refused:
            await self._refuse(below_base(scope["path"]), refused)(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if below_base(scope["path"]) != STREAM_PATH:
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: HTTP 403
            return
        with self._counted(identity_of(HTTPConnection(scope))) as is_one_too_many:
            if is_one_too_many:
                await send({"type": "websocket.close", "code": 1013})
                return
            stream = _Stream(receive, send, self._settings.max_question_chars)
            await self._app(scope, stream.receive, stream.send)

    @contextmanager
    def _counted(self, identity: Identity) -> Iterator[bool]:
        """While a stream is open it counts; whether it is more than its network may have."""
        whose = identity.address or identity.account
        with self._lock:
            self._open_streams[whose] += 1
            is_one_too_many = identity.is_limited and self._open_streams[whose] > MAX_STREAMS_PER_NETWORK
        try:
            yield is_one_too_many
        finally:
            with self._lock:
                self._open_streams[whose] -= 1
                if not self._open_streams[whose]:
                    del self._open_streams[whose]


class _Stream:
    """One WebSocket, between the browser and Streamlit."""

    def __init__(self, receive: Receive, send: Send, max_question_chars: int) -> None:
        self._receive = receive
        self._send = send
        self._max_question_chars = max_question_chars
        self._pace = Pace(asyncio.get_running_loop().time)
        self._is_closed = False

    async def receive(self) -> Message:
        """The next event that Streamlit may see. A message that breaks the protocol ends the connection."""
        while True:
            event = await self._receive()
            if event["type"] != "websocket.receive":
                return event
            if delay := self._pace.delay():
                await asyncio.sleep(delay)  # uvicorn reads no further meanwhile
            try:
                data = event.get("bytes")
                if data is None:
                    raise Violation(1003, "Streamlit's protocol is binary.")
                if may_send(data, self._max_question_chars):
                    return event
                logger.info("A message that this page never sends was left out.")
            except Violation as violation:
                logger.warning("A page's connection was closed: %s", violation.reason)
                await self.send({"type": "websocket.close", "code": violation.code, "reason": violation.reason})
                self._is_closed = True
                return {"type": "websocket.disconnect", "code": violation.code}

    async def send(self, event: Message) -> None:
        """Pass on to the browser, as long as it is there."""
        if self._is_closed:
            raise OSError("the connection was closed")  # what a server raises for a browser that has gone
        await self._send(event)


class Pace:
    """How long the next message has to wait (the generic cell rate algorithm)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due = 0.0

    def delay(self) -> float:
        """Seconds, for a message that has just come. Every call counts as one."""
        now = self._clock()
        self._due = max(self._due, now) + 1 / MESSAGES_PER_SECOND
        return max(0.0, self._due - now - BURST_MESSAGES / MESSAGES_PER_SECOND)
