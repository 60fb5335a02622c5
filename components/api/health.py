"""``/health`` says that the process is up, ``/ready`` that the model answers: for whoever watches the server."""

import time
from http import HTTPStatus
from typing import Literal, NotRequired

from starlette.requests import Request
from starlette.responses import JSONResponse
from typing_extensions import TypedDict

from components.engine.host import Failed, Loading, Ready, engine_host


class Health(TypedDict):
    """The process is up."""

    status: Literal["ok"]


class ReadyModel(TypedDict):
    """The model answers."""

    status: Literal["ready"]
    model: str


class NotReady(TypedDict):
    """The model is loading (``stage``, for so many ``seconds``), or will not answer any more (``error`` says why)."""

    status: Literal["loading", "failed"]
    stage: NotRequired[str]
    seconds: NotRequired[float]
    error: NotRequired[str]


async def health(_: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"})


async def ready(_: Request) -> JSONResponse:
    """200 once the model is loaded; 503 with the reason before that, or when it will not answer any more."""
    match engine_host().state:
        case Ready(engine) if engine.failure is not None:
            return _unavailable({"status": "failed", "error": engine.failure})
        case Ready(engine):
            return JSONResponse({"status": "ready", "model": engine.info.model})
        case Loading(stage, since):
            seconds = round(time.monotonic() - since, 1)
            return _unavailable({"status": "loading", "stage": stage, "seconds": seconds})
        case Failed(message):
            return _unavailable({"status": "failed", "error": message})


def _unavailable(content: NotReady) -> JSONResponse:
    return JSONResponse(content, HTTPStatus.SERVICE_UNAVAILABLE)
