"""The engine that answers, and the model that a call may name."""

from http import HTTPStatus

from components.api.openai.errors import ApiError
from components.engine.host import engine_host
from components.engine.interface import Engine


def running_engine(model: str | None = None) -> Engine:
    """The engine, if ``model`` is the one that it runs, or none is named.

    Raises:
        EngineNotReadyError: the model is not loaded.
        ApiError: another model runs.
    """
    engine = engine_host().wait(timeout=0)
    if model is not None and model != engine.info.model:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"The model {model[:100]!r} does not run here. The one that does is {engine.info.model!r}.",
            param="model",
            code="model_not_found",
        )
    return engine


def fingerprint_of(engine: Engine) -> str | None:
    """OpenAI's ``system_fingerprint``: the same weights have the same."""
    return f"fp_{engine.weights[:10]}" if engine.weights else None
