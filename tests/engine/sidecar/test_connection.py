"""The connection to a server of our own, with servers that answer in pieces, late, or not at all."""

import asyncio
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable

import httpx2
import pytest

from components.engine.sidecar.connection import Connection
from components.engine.sidecar.process import LOOPBACK

Serve = Callable[[socket.socket], object]

LONGEST = {"connect": 60.0, "read": 60.0, "write": 60.0}
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def ask(port: int, content: bytes = b"{}", **timeouts: float) -> tuple[int, bytes]:
    """The status and the body of what a port of this machine answers."""
    connection = Connection(LONGEST | timeouts)
    try:
        request = httpx2.Request("POST", f"http://{LOOPBACK}:{port}/completion", content=content)
        response = await connection.ask(request, port)
        return response.status_code, b"".join([piece async for piece in connection])
    finally:
        await connection.aclose()


def ask_who(serve: Serve, content: bytes = b"{}", **timeouts: float) -> tuple[int, bytes]:
    """The status and the body of what a server that does this with its connection answers."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            return asyncio.run(ask(listener.getsockname()[1], content, **timeouts))
        finally:
            thread.join()


def answering(answer: bytes, cuts: int = 0) -> Serve:
    """Reads the request, and writes this, in so many pieces more than one, and hangs up."""

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not connection.recv(2**16).endswith(b"{}"):
            pass
        at = [0, *sorted(random.Random(cuts).sample(range(1, len(answer)), cuts)), len(answer)]
        for begin, end in itertools.pairwise(at):
            connection.sendall(answer[begin:end])
            time.sleep(0.001)  # so that it goes by itself

    return serve


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


TEXTS = [f"data: {number}\n\n".encode() for number in range(20)]
ANSWERS = {
    "with a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "to the end": (b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nno such thing", 404, b"no such thing"),
    "in chunks": (EVENTS + b"".join(map(chunk, TEXTS)) + b"0\r\n\r\n", 200, b"".join(TEXTS)),
    "after a pause": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("cuts", [0, 1, 3, 9, 20])
def test_an_answer_is_the_same_in_however_many_pieces_it_comes(kind: str, cuts: int) -> None:
    answer, status, body = ANSWERS[kind]
    assert ask_who(answering(answer, cuts)) == (status, body)


BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n",
    "less than was said": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    "half a stream": EVENTS + chunk(TEXTS[0]) + b"9\r\ndat",
    "chunks that are none": EVENTS + chunk(TEXTS[0]) + b"zz\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_breaks_off_is_no_answer(kind: str) -> None:
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        ask_who(answering(BROKEN[kind]))


def test_nobody_listens() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(httpx2.ConnectError):
        asyncio.run(ask(port))


@pytest.mark.parametrize("before", [b"", EVENTS + chunk(TEXTS[0])], ids=["the head", "what follows"])
def test_what_does_not_come_is_waited_for_as_long_as_was_said(before: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(before)
        while connection.recv(2**16):  # until the other side hangs up
            pass

    with pytest.raises(httpx2.ReadTimeout, match="does not answer in time"):
        ask_who(serve, read=0.2)


def test_a_request_that_nobody_reads_is_given_up() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:  # takes a connection into its line, and does no more
        port = listener.getsockname()[1]
        with pytest.raises(httpx2.WriteTimeout, match="does not read the request"):
            asyncio.run(ask(port, bytes(2**26), write=0.2))
