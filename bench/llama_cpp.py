"""llama.cpp with the same model, alone and behind this application: what the way through us costs, and who is faster.

Its file is the one beside the checkpoint's weights, as the demo model has one: of fewer bits than what we run.
"""

import http.client
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.process import Loaded
from bench.targets import SAMPLING, Answer, EngineTarget, Target
from components.checkpoints.locate import Checkpoint, gguf_files
from components.engine.interface import GenerationRequest
from components.engine.remote.by_ids import EngineByIds
from components.engine.sidecar.llama_cpp import load_llama_cpp
from components.engine.sidecar.llama_cpp_dialect import PATH, LlamaCppDialect
from components.engine.sidecar.process import LOOPBACK
from components.engine.sidecar.sidecar import Sidecar
from components.model.chat_format import Message
from components.settings import Settings

ALONE, BEHIND = "llama.cpp", "llama.cpp in this application"


def gguf_of(checkpoint: Checkpoint) -> Path | None:
    """The file for llama.cpp in a checkpoint's folder; None if it has none."""
    return next(iter(gguf_files(checkpoint.path)), None)


def load_alone(settings: Settings, checkpoint: Checkpoint) -> Loaded:
    """llama.cpp's own endpoint, given the same token ids, read with as little as there is."""
    engine = _load(settings, checkpoint)
    return Loaded(AloneTarget(engine), engine.info.dtype, engine.close)


def load_behind(settings: Settings, checkpoint: Checkpoint) -> Loaded:
    """The engine as the server loads it."""
    engine = _load(settings, checkpoint)
    target = EngineTarget(engine)
    target.name = BEHIND
    return Loaded(target, engine.info.dtype, engine.close)


def _load(settings: Settings, checkpoint: Checkpoint) -> EngineByIds:
    file = gguf_of(checkpoint)
    assert file is not None
    engine = load_llama_cpp(Checkpoint(file, checkpoint.name, checkpoint.is_demo), settings, lambda _: None)
    assert isinstance(engine, EngineByIds)
    return engine


class AloneTarget(Target):
    """Asks the llama.cpp that an engine has started, past that engine."""

    name = ALONE

    def __init__(self, engine: EngineByIds) -> None:
        self._engine = engine

    def answer(self, messages: Sequence[Message], max_new_tokens: int, reader: str) -> Answer:  # noqa: ARG002
        """See ``Target.answer``."""
        assert isinstance(self._engine.keeper, Sidecar)
        assert isinstance(self._engine.dialect, LlamaCppDialect)
        endpoint = self._engine.keeper.endpoint
        assert endpoint is not None
        asked = time.perf_counter()
        prompt = self._engine.tokenize(messages)
        sampling = SAMPLING.model_copy(update={"max_new_tokens": max_new_tokens})
        body = self._engine.dialect.call(GenerationRequest(messages, sampling), prompt).standard
        connection = http.client.HTTPConnection(LOOPBACK, endpoint.port)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {endpoint.key.get_secret_value()}",
        }
        try:
            connection.request("POST", PATH, json.dumps(body), headers)
            response = connection.getresponse()
            first, content = None, b""
            while piece := response.read1():
                first = first or time.perf_counter() - asked
                content += piece
        finally:
            connection.close()
        seconds = time.perf_counter() - asked
        events: list[dict[str, Any]] = [
            json.loads(line.removeprefix(b"data: ")) for line in content.splitlines() if line.startswith(b"data: ")
        ]
        text = "".join(event["content"] for event in events)
        ended_by_itself = events[-1].get("stop_type") == "eos"
        return Answer(text, events[-1]["tokens_predicted"] - ended_by_itself, len(prompt), first or seconds, seconds)
