"""The routes of the plain pages."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from components import paths
from components.web.shared import show_shared
from components.web.sheet import take_vote

_ROBOTS_TXT = "\n".join(["User-agent: *", "Disallow: /s/", ""])
"""What readers share is for those who were given its address."""


def build_pages() -> list[BaseRoute]:
    """Routes to put beside those of the APIs."""
    return [
        Route(paths.SHARED, show_shared),
        Route(paths.VOTE, take_vote, methods=["POST"]),
        Route(paths.ROBOTS, _show_robots),
    ]


def _show_robots(_: Request) -> PlainTextResponse:
    return PlainTextResponse(_ROBOTS_TXT)
