"""Lets the pages of named origins call the APIs from a browser.

It stands before the access middleware: a browser asks first (preflight) without the key that its call then carries.
"""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from components.access.address import below_base
from components.api.openai.schema_base import IGNORED_HEADER, NOTES_HEADER
from components.paths import is_api


class ApiCors:
    """Starlette's CORS for the APIs' paths alone; the page and its WebSocket stay as Streamlit has them."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After", IGNORED_HEADER, NOTES_HEADER],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight here; pass everything else on."""
        is_asked = scope["type"] == "http" and is_api(below_base(scope["path"]))
        await (self._cors if is_asked else self._app)(scope, receive, send)
