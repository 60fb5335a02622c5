"""A request to a server of our own and its answer, over a connection of their own, with as little as there is.

Each time that this process wakes, it takes a core from the server that writes. So a stream is read in one go with all
that has come since it was last read, and meanwhile nothing wakes anybody.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, TypeVar

import h11
import httpx2

from components.engine.sidecar.process import LOOPBACK

PAUSE_SECONDS = 0.02
"""So long a stream is left alone after each reading. It is the longest that a text comes late, which nobody sees."""

READ_BYTES = 2**18
"""At the most at once."""

EVENT_STREAM = b"text/event-stream"

FAILURES: dict[str, tuple[type[httpx2.TransportError], str, type[httpx2.TransportError]]] = {
    "connect": (httpx2.ConnectTimeout, "it takes no connection", httpx2.ConnectError),
    "write": (httpx2.WriteTimeout, "it does not read the request", httpx2.WriteError),
    "read": (httpx2.ReadTimeout, "it does not answer in time", httpx2.ReadError),
}
"""By httpx's name of the time that is allowed: what is raised when it is over, with what is said, and when it fails."""

Result = TypeVar("Result")


class Connection(httpx2.AsyncByteStream):
    """Asks one thing; the body of the answer is this stream. Closing it hangs up."""

    def __init__(self, timeouts: Mapping[str, float | None]) -> None:
        """``timeouts`` are seconds, by httpx's names; None waits as long as it takes."""
        self._timeouts = timeouts
        self._http = h11.Connection(h11.CLIENT)
        self._pause = 0.0
        self._socket = socket.socket()
        self._socket.setblocking(False)

    async def ask(self, request: httpx2.Request, port: int) -> httpx2.Response:
        """Send the request to a port of this machine, and read the head of the answer.

        Raises:
            httpx2.TransportError: nobody listens there, or answers in time, or the answer breaks off.
        """
        loop = asyncio.get_running_loop()
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        content = [head, h11.Data(await request.aread()), h11.EndOfMessage()]
        data = b"".join(self._http.send(event) or b"" for event in content)
        await self._within("connect", loop.sock_connect(self._socket, (LOOPBACK, port)))
        await self._within("write", loop.sock_sendall(self._socket, data))
        while not isinstance(event := await self._next_with_data(), h11.Response):
            pass  # others say that it is thinking about it
        if dict(event.headers).get(b"content-type", b"").startswith(EVENT_STREAM):
            self._pause = PAUSE_SECONDS
        return httpx2.Response(event.status_code, headers=event.headers.raw_items(), stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """What comes; of a stream of events the first by itself, then all that came within a pause at once.

        Raises:
            httpx2.TransportError: it breaks off, or does not go on in time.
        """
        event = await self._next_with_data()
        if not isinstance(event, h11.Data):
            return
        yield bytes(event.data)
        while True:
            pieces = []
            while isinstance(event := self._next(), h11.Data):
                pieces.append(bytes(event.data))
            if pieces:
                yield b"".join(pieces)
            if event is not h11.NEED_DATA:
                return
            await asyncio.sleep(self._pause)
            await self._receive()

    async def aclose(self) -> None:
        """Hang up."""
        self._socket.close()

    def _next(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise httpx2.RemoteProtocolError(str(error)) from error

    async def _next_with_data(self) -> object:
        while (event := self._next()) is h11.NEED_DATA:
            await self._receive()
        return event

    async def _receive(self) -> None:
        """Take what is there; if that is nothing, wait."""
        loop = asyncio.get_running_loop()
        self._http.receive_data(await self._within("read", loop.sock_recv(self._socket, READ_BYTES)))

    async def _within(self, limit: str, work: Coroutine[Any, Any, Result]) -> Result:
        over, said, failed = FAILURES[limit]
        try:
            async with asyncio.timeout(self._timeouts.get(limit)):
                return await work
        except TimeoutError as error:
            raise over(said) from error
        except OSError as error:
            raise failed(error.strerror or str(error)) from error
