"""The proxy changes nothing and counts everything."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.proxy import CountingProxy, Counts, counting_proxy

WEBSOCKET_REQUEST = b"GET /_stcore/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
PLAIN_REQUEST = b"GET /app.js HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = bytes(range(256)) * 4000


@contextmanager
def echoing_server() -> Iterator[int]:
    """Answers with what it got, byte by byte the same, and closes when the client has no more."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while piece := connection.recv(1000):
                connection.sendall(piece)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy() -> Iterator[CountingProxy]:
    with echoing_server() as port, counting_proxy(port) as proxy:
        yield proxy


def exchange(proxy: CountingProxy, *pieces: bytes) -> bytes:
    """Send pieces, say that there are no more, and return all that comes back."""
    received = b""
    with socket.create_connection(("127.0.0.1", int(proxy.address.rpartition(":")[2]))) as connection:

        def send() -> None:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.02)  # so that TCP does not join them
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        while piece := connection.recv(65536):
            received += piece
        sender.join()
    return received


def test_every_byte_comes_through_and_is_counted_once(proxy: CountingProxy) -> None:
    sent = WEBSOCKET_REQUEST + LARGE
    assert exchange(proxy, WEBSOCKET_REQUEST, LARGE) == sent

    assert proxy.websockets == Counts(sent=len(sent), received=len(sent))


def test_websockets_are_counted_apart_from_the_pages_files(proxy: CountingProxy) -> None:
    exchange(proxy, PLAIN_REQUEST, LARGE)
    exchange(proxy, WEBSOCKET_REQUEST)

    assert proxy.others == Counts(len(PLAIN_REQUEST + LARGE), len(PLAIN_REQUEST + LARGE))
    assert proxy.websockets == Counts(len(WEBSOCKET_REQUEST), len(WEBSOCKET_REQUEST))


def test_a_request_that_arrives_in_pieces_is_known_for_what_it_is(proxy: CountingProxy) -> None:
    exchange(proxy, WEBSOCKET_REQUEST[:70], WEBSOCKET_REQUEST[70:], b"rest")

    assert proxy.websockets.received == len(WEBSOCKET_REQUEST) + 4
    assert proxy.others == Counts()


def test_connections_at_the_same_time_are_all_counted(proxy: CountingProxy) -> None:
    threads = [threading.Thread(target=exchange, args=(proxy, WEBSOCKET_REQUEST, LARGE)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert proxy.websockets == Counts(8 * len(WEBSOCKET_REQUEST + LARGE), 8 * len(WEBSOCKET_REQUEST + LARGE))


def test_a_closed_proxy_cuts_what_is_open() -> None:
    with echoing_server() as port:
        with counting_proxy(port) as proxy:
            connection = socket.create_connection(("127.0.0.1", int(proxy.address.rpartition(":")[2])))
            connection.sendall(WEBSOCKET_REQUEST)
            assert connection.recv(65536) == WEBSOCKET_REQUEST
        assert connection.recv(65536) == b""
        connection.close()
