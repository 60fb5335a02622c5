"""The way to a server that this application runs: another port and another key after each start."""

import httpx2

from components.engine.sidecar.connection import Connection
from components.engine.sidecar.sidecar import Sidecar


class SidecarTransport(httpx2.AsyncBaseTransport):
    """Leads each request to where the server listens at that moment, and nowhere while it does not.

    Each request has a connection of its own, which costs nothing on loopback: one that was kept may be closed by the
    server (llama.cpp's does so after 5 seconds or 100 requests) just as the next request is sent.
    """

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it.

        Raises:
            httpx2.TransportError: the server is down, or breaks off.
        """
        endpoint = self._sidecar.endpoint
        if endpoint is None:  # whoever has the port by now is not to get the request
            raise httpx2.ConnectError(self._sidecar.trouble or "", request=request)
        request.url = request.url.copy_with(port=endpoint.port)
        request.headers["Host"] = request.url.netloc.decode()
        request.headers["Authorization"] = f"Bearer {endpoint.key.get_secret_value()}"
        connection = Connection(request.extensions.get("timeout", {}))
        try:
            return await connection.ask(request, endpoint.port)
        except BaseException:
            await connection.aclose()
            raise
