"""From a server's description to one that has got ready, with a way to it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from components.engine.remote.loop import LoopThread
from components.engine.remote.server import Own, Server
from components.engine.sidecar.sidecar import Sidecar
from components.engine.sidecar.transport import SidecarTransport
from components.settings import Settings


@contextmanager
def started(sidecar: Sidecar, settings: Settings) -> Iterator[tuple[Server, LoopThread]]:
    """The server, and the loop in which it is spoken to. Both go on behind this, unless something within fails.

    Raises:
        EngineError: it does not get ready.
    """
    endpoint = sidecar.start()
    with ExitStack() as unless_it_goes_on:
        unless_it_goes_on.callback(sidecar.close)
        loop = LoopThread(f"{sidecar.name}-engine")
        own = Own(sidecar.name, sidecar, SidecarTransport(sidecar))
        server = Server(endpoint.base_url, None, settings.openai_connect_timeout, own)
        unless_it_goes_on.callback(loop.close, server.close)
        yield server, loop
        unless_it_goes_on.pop_all()
