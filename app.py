"""The server: `streamlit run app.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

from components.access.announcement import announced
from components.access.policy import get_access_policy
from components.api.middleware import build_middleware
from components.api.routes import build_routes
from components.api.sub_path import with_base_path
from components.chats.replies import get_replies
from components.engine.host import engine_host
from components.lab.jobs import get_jobs
from components.logs import set_up_logs
from components.settings import get_settings
from components.ui.startup import show_crash
from components.web.routes import build_pages


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Start to load the model with the process, not with its first reader; keep what is written when it ends."""
    set_up_logs(get_settings())
    host = engine_host()
    replies = get_replies()
    async with announced(get_access_policy()):
        yield {}
    get_jobs().close()
    replies.close()
    host.close()


app = st.App(
    "components/ui/page.py",
    routes=with_base_path([*build_routes(), *build_pages()]),
    middleware=build_middleware(),
    lifespan=lifespan,
    on_script_error=show_crash,
)
