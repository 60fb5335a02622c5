"""A proxy on loopback that counts what a server sends and receives on the wire, WebSockets apart from the rest."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PIECE = 65536


@dataclass(frozen=True)
class Counts:
    """Bytes so far, as TCP carries them: with HTTP headers and WebSocket frame headers, without TCP's own."""

    sent: int = 0
    received: int = 0


class CountingProxy:
    """Forwards connections to a port on loopback. What it counts is seen from the server."""

    def __init__(self, port: int, listen: int = 0) -> None:
        """Listen on port ``listen``; on a free one if it is 0."""
        self._port = port
        self._lock = threading.Lock()
        self._counts = {True: Counts(), False: Counts()}  # by whether it is a WebSocket
        self._listener = socket.create_server(("127.0.0.1", listen))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def websockets(self) -> Counts:
        """What WebSockets carried, their handshakes included."""
        return self._counts[True]

    @property
    def others(self) -> Counts:
        """What all other connections carried."""
        return self._counts[False]

    def close(self) -> None:
        """Stop listening and cut what is open."""
        # A listener that is only closed goes on waiting in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self._port))
            with self._lock:
                self._open += [client, server]
            # What a connection is stands in the first request, before which the server has nothing to say.
            head = _read_head(client)
            websocket = b"upgrade: websocket" in head.lower()
            self._count(websocket, sent=0, received=len(head))
            server.sendall(head)
            back = threading.Thread(target=self._pump, args=(server, client, websocket, True), daemon=True)
            back.start()
            self._pump(client, server, websocket, False)
            back.join()
            client.close()
            server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, websocket: bool, from_server: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                size = len(piece)
                self._count(websocket, sent=size if from_server else 0, received=0 if from_server else size)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _count(self, websocket: bool, sent: int, received: int) -> None:
        with self._lock:
            before = self._counts[websocket]
            self._counts[websocket] = Counts(before.sent + sent, before.received + received)


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (piece := client.recv(PIECE)):
        head += piece
    return head


@contextmanager
def counting_proxy(port: int) -> Iterator[CountingProxy]:
    """A proxy to ``port`` that is closed at the end."""
    proxy = CountingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
