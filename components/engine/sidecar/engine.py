"""An engine whose model runs in a server that this application starts."""

from collections.abc import Callable

from openai import APIError

from components.engine.errors import EngineError
from components.engine.interface import EngineInfo
from components.engine.remote.engine import RemoteEngine
from components.engine.remote.failures import describe
from components.engine.remote.loop import LoopThread
from components.engine.remote.server import Own, ServedModel, Server
from components.engine.sidecar.sidecar import Sidecar
from components.engine.sidecar.transport import SidecarTransport
from components.settings import Settings


class SidecarEngine(RemoteEngine):
    """A ``RemoteEngine`` that ends its server with itself, and says so when the server is down."""

    def __init__(
        self,
        sidecar: Sidecar,
        server: Server,
        loop: LoopThread,
        info: EngineInfo,
        settings: Settings,
        kind: str | None = None,
    ) -> None:
        """Take over ``sidecar``, the rest as ``RemoteEngine`` does."""
        super().__init__(server, loop, info, settings, kind)
        self._sidecar = sidecar

    @property
    def failure(self) -> str | None:
        """See ``Engine.failure``."""
        return self._sidecar.trouble

    def close(self) -> None:
        """See ``Engine.close``."""
        super().close()
        self._sidecar.close()


def serve_through(sidecar: Sidecar, settings: Settings, info_of: Callable[[ServedModel], EngineInfo]) -> SidecarEngine:
    """Start the server, and an engine that speaks to it.

    Args:
        sidecar: not started yet; the engine takes it over.
        settings: how to deal with the server.
        info_of: what is running, given the first model that the server lists.

    Raises:
        EngineError: the server does not get ready, or has no model.
    """
    endpoint = sidecar.start()
    loop = LoopThread(f"{sidecar.name}-engine")
    own = Own(sidecar.name, lambda: sidecar.trouble, SidecarTransport(sidecar))
    server = Server(endpoint.base_url, None, settings.openai_connect_timeout, own)
    try:
        model = _first_model(loop, server)
        return SidecarEngine(sidecar, server, loop, info_of(model), settings, model.owned_by)
    except BaseException:
        loop.close(server.close)
        sidecar.close()
        raise


def _first_model(loop: LoopThread, server: Server) -> ServedModel:
    try:
        models = loop.run(server.models())
    except APIError as error:
        raise describe(error, server, "").error from error
    if not models:
        raise EngineError(f"{server.who} lists no model. Its log, which is in ours, says more.")
    return models[0]
