"""Paths that lead nowhere, and spellings that lead somewhere after all.

Streamlit answers whatever it does not know with the page and 200, since a page may have any address. Programs ask
``/version``, ``/props`` or ``/api/tags`` to find out what a server is, and would take this one for another.
"""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from components import paths
from components.access.address import base_path, below_base
from components.access.streamlit_protocol import is_streamlits
from components.api.errors import Failure
from components.api.openai.errors import error_response
from components.api.tutorial import failure_response

_PAGES = frozenset({paths.TUTORIAL, paths.OPERATIONS, paths.LAB})
_PAGE_FILES = frozenset({"/index.html", "/favicon.png", "/manifest.json"})
_ALLOWED = {paths.TUTORIAL: "GET, HEAD, POST", paths.METRICS: "GET, HEAD"}
"""Of those whose routes do not say it themselves."""

_SAFE = ("GET", "HEAD")


class TidyPaths:
    """ASGI middleware: ``//v1/models`` and ``/v1/models/`` are ``/v1/models``. Outermost, so that all see the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the path that is meant, but for what is Streamlit's own."""
        if scope["type"] == "http":
            path = _meant(scope["path"])
            if path != scope["path"] and not is_streamlits(below_base(path)):
                scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


def _meant(path: str) -> str:
    tidied = paths.tidy(path)
    # Below a base path the page is at /chat/, and /chat only leads there.
    return f"{tidied}/" if tidied == base_path() and path.endswith("/") else tidied


class Nowhere(BaseRoute):
    """The last route before Streamlit's: whatever is neither its own, nor a page, nor asked for by a person."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave to Streamlit what it has, and what a browser wants to show: there the page says what is not there."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = below_base(scope["path"])
        is_safe = scope["method"] in _SAFE
        is_known = path in _PAGES | _PAGE_FILES or _is_browsed(Request(scope))
        is_theirs = is_streamlits(path) or (is_safe and is_known)
        return (Match.NONE if is_theirs else Match.FULL), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404, or 405 where it is the method that is wrong; in the form of the API that was probably meant."""
        path, method = below_base(scope["path"]), scope["method"]
        if allowed := _ALLOWED.get(path):
            failure = Failure(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} {path} is not possible: send {allowed}.")
        else:
            hint = f"Below {paths.V1} there is: give your client the base URL that ends in {paths.V1}. " * (
                f"{paths.V1}{path}" in (paths.CHAT_COMPLETIONS, paths.COMPLETIONS, paths.MODELS, paths.RESPONSES)
            )
            message = f"There is no {method} {path[:100]}. {hint}GET {paths.DOCS} lists what there is."
            failure = Failure(HTTPStatus.NOT_FOUND, message)
        response: JSONResponse = (failure_response if path == paths.TUTORIAL else error_response)(failure)
        if allowed:
            response.headers["Allow"] = allowed
        await response(scope, receive, send)


def _is_browsed(request: Request) -> bool:
    """Whether a person looks at what is answered. Java's own client accepts text/html, too, without being asked to."""
    headers = request.headers
    return headers.get("sec-fetch-mode") == "navigate" or "application/xhtml+xml" in headers.get("accept", "")
