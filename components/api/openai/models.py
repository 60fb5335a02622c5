"""Which model runs, ``GET /v1/models``; and which one a request may name."""

from http import HTTPStatus

import psutil

from components.api.errors import Failure
from components.api.openai.errors import ApiError
from components.api.openai.response_schemas import Model, ModelList
from components.engine.host import engine_host
from components.engine.interface import Engine

OWNER = "baichuan-chat"
"""Who serves the model. Who made it, a checkpoint does not say."""


async def list_models() -> ModelList:
    """The model that runs; there is always one."""
    return {"object": "list", "data": [_model(engine_for())]}


async def retrieve_model(model: str) -> Model:
    """The same, if it is the one named."""
    return _model(engine_for(model))


def engine_for(model: str | None = None) -> Engine:
    """The engine, if ``model`` is a name of the one that it runs, or none is named.

    Raises:
        EngineNotReadyError: the model is not loaded.
        ApiError: another model runs.
    """
    engine = engine_host().wait(timeout=0)
    if model is not None and not _means(model, engine.info.model):
        message = f"The model {model[:100]!r} does not run here. The one that does is {engine.info.model!r}."
        raise ApiError(Failure(HTTPStatus.NOT_FOUND, message, "model_not_found", "model"))
    return engine


def fingerprint_of(engine: Engine) -> str | None:
    """OpenAI's ``system_fingerprint``: the same weights have the same."""
    return f"fp_{engine.weights[:10]}" if engine.weights else None


def _means(name: str, running: str) -> bool:
    """Whether a name is the running model's: in any case, with or without the hub's owner, or none in particular."""
    name, running = (one.strip().strip("/").rpartition("/")[2].casefold() for one in (name, running))
    return name in ("", "default", running)


def _model(engine: Engine) -> Model:
    return {
        "id": engine.info.model,
        "object": "model",
        "created": int(psutil.Process().create_time()),
        "owned_by": OWNER,
        "max_model_len": engine.info.context_length,
    }
