"""The application's own page, over an engine that recites; ``prose 500`` asks for 500 tokens of prose."""

from collections.abc import Iterator

import streamlit as st

from bench.apps.replies import read_question, stream
from components.api.middleware import build_middleware
from components.engine import host
from components.engine.interface import GenerationRequest
from tests.scripted_engine import ScriptedEngine


class RecitingHost:
    """Stands in for the engine host."""

    state = host.Ready(ScriptedEngine(lambda request: recite(request)), 1.0)
    recorder = None


def recite(request: GenerationRequest) -> Iterator[str]:
    """Answer the newest question."""
    yield from stream(*read_question(request.messages[-1]["content"]))


setattr(host, "engine_host", RecitingHost)  # noqa: B010

# Streamlit finds the application only when it is made right here. The middleware gives each browser its name.
app = st.App("../../components/ui/page.py", middleware=build_middleware())
