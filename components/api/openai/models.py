"""``GET /v1/models``: which model runs."""

import psutil

from components.api.openai.answers import Model, ModelList
from components.api.openai.running import running_engine
from components.engine.interface import Engine

OWNER = "baichuan-chat"
"""Who serves the model. Who made it, a checkpoint does not say."""


async def list_models() -> ModelList:
    """The model that runs; there is always one."""
    return {"object": "list", "data": [_model(running_engine())]}


async def retrieve_model(model: str) -> Model:
    """The same, if it is the one named."""
    return _model(running_engine(model))


def _model(engine: Engine) -> Model:
    return {
        "id": engine.info.model,
        "object": "model",
        "created": int(psutil.Process().create_time()),
        "owned_by": OWNER,
        "max_model_len": engine.info.context_length,
    }
