"""Gives every HTTP request a number, which its answer and its log line carry, and writes that line."""

import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.logs import log_request

HEADER = "X-Request-ID"
_STREAMLITS_OWN = ("/_stcore/", "/static/", "/media/", "/component/", "/favicon")
_ACCEPTABLE = re.compile(r"[\w.:-]{1,64}", re.ASCII)


class RequestLog:
    """ASGI middleware. The page's own traffic, its files and its WebSocket, gets no lines: its replies do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get(HEADER, "")
        number = asked if _ACCEPTABLE.fullmatch(asked) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = number
        began = time.monotonic()
        status = 500

        async def send_numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = number
            await send(message)

        try:
            await self._app(scope, receive, send_numbered)
        finally:
            if _is_worth_a_line(scope):
                log_request(
                    "http",
                    request_id=number,
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=round(time.monotonic() - began, 3),
                    client=(scope.get("client") or ("", 0))[0],
                )


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The number of a request; empty where the middleware is not installed."""
    return str(scope.get("state", {}).get("request_id", ""))


def _is_worth_a_line(scope: Scope) -> bool:
    path: str = scope["path"]
    return not path.startswith(_STREAMLITS_OWN) and not (path == "/" and scope["method"] in ("GET", "HEAD"))
