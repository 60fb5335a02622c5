"""The server: `streamlit run app.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware

from components.api.request_log import RequestLog
from components.api.routes import build_routes
from components.engine.host import engine_host
from components.logs import set_up_logs
from components.settings import get_settings
from components.ui.startup import show_crash


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Start to load the model with the process, not with its first reader."""
    set_up_logs(get_settings())
    engine_host()
    yield {}


app = st.App(
    "components/ui/page.py",
    routes=build_routes(),
    middleware=[Middleware(RequestLog)],
    lifespan=lifespan,
    on_script_error=show_crash,
)
