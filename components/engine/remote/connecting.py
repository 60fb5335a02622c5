"""From the settings to an engine whose model runs on another server."""

from collections.abc import Callable

from openai import APIError, NotFoundError

from components.engine.errors import EngineError
from components.engine.interface import EngineInfo, Stage
from components.engine.remote.engine import RemoteEngine
from components.engine.remote.failures import describe, unknown_model
from components.engine.remote.loop import LoopThread
from components.engine.remote.server import ServedModel, Server
from components.sampling.parameters import SamplingParams
from components.settings import Settings, SettingsError


def connect(settings: Settings, on_stage: Callable[[Stage], None]) -> RemoteEngine:
    """Ask the server that the settings name what it has. It is not asked twice: whoever starts this sees the reason.

    Args:
        settings: the server's address, and how to deal with it.
        on_stage: called as each stage begins.

    Raises:
        SettingsError: there is no address, or there is a key in it.
        EngineError: the server does not answer, or has no such model.
    """
    on_stage("server")
    url = settings.openai_base_url
    if url is None:
        raise SettingsError("BAICHUAN_ENGINE=openai needs BAICHUAN_OPENAI_BASE_URL, such as http://127.0.0.1:8000/v1")
    if url.username or url.password or url.query:
        raise SettingsError("BAICHUAN_OPENAI_BASE_URL must hold no secrets: a key belongs in BAICHUAN_OPENAI_API_KEY.")
    loop = LoopThread("remote-engine")
    server = Server(url, settings.openai_api_key, settings.openai_connect_timeout)
    try:
        model = _choose(loop, server, settings.openai_model)
    except BaseException:
        loop.close(server.close)
        raise
    context_length = model.max_model_len or settings.openai_context_length
    info = EngineInfo(
        model=model.id,
        is_demo=False,
        device="remote",
        dtype="OpenAI API",
        context_length=context_length,
        defaults=SamplingParams().fitting(context_length),
        engine=f"OpenAI-compatible server at {server.address}",
    )
    return RemoteEngine(server, loop, info, settings, model.owned_by)


def _choose(loop: LoopThread, server: Server, wanted: str | None) -> ServedModel:
    try:
        models = loop.run(server.models())
    except NotFoundError as error:
        if wanted is not None:
            return ServedModel(id=wanted)  # some servers have no list
        raise EngineError(
            f"{server.who} has no list of models. If the address is right (it usually ends with "
            "/v1), set BAICHUAN_OPENAI_MODEL."
        ) from error
    except APIError as error:
        raise describe(error, server, wanted or "").error from error
    if not models:
        raise EngineError(f"{server.who} has no model yet. Try again once it has loaded one.")
    for model in models:
        if wanted in (None, model.id):
            return model
    raise unknown_model(server, wanted or "", [model.id for model in models])
