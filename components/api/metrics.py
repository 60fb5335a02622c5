"""``GET /metrics``: figures for Prometheus, for the owner and for whoever has a key."""

import anyio
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from components.access.identity import identity_of
from components.engine.errors import EngineNotReadyError
from components.engine.host import engine_host
from components.engine.watching.metrics import exposition


async def metrics(request: Request) -> Response:
    """All metrics in the text format; 503 while there is no engine, 403 for everybody else."""
    if not identity_of(request).may_read_metrics:
        return PlainTextResponse(
            "Metrics are for the owner and for programs with a key. Send 'Authorization: Bearer KEY': the owner's "
            "code, which the server prints when it starts, or a key that python keys.py add NAME makes.\n",
            403,
        )
    try:
        engine = engine_host().wait(timeout=0)
    except EngineNotReadyError as error:
        return PlainTextResponse(f"{error}\n", 503)
    return Response(await anyio.to_thread.run_sync(exposition, engine), media_type=CONTENT_TYPE_LATEST)
