"""Every route of the server that is not the page."""

import re

from starlette.routing import BaseRoute, Route

from components.api.application import build_api
from components.api.metrics import metrics

PATHS = ("/tokenize", "/detokenize", "/health", "/ready", "/docs", "/docs/style.css", "/openapi.json")


def build_routes() -> list[BaseRoute]:
    """The routes to put beside the page.

    They are no Mount, which would take the path apart: all of the APIs are one application with one description. What
    is not listed belongs to the page, as does GET /.
    """
    api = build_api()
    below_v1 = Route("/v1", api)
    below_v1.path_regex = re.compile(r"/v1(?:/.*)?\Z", re.DOTALL)  # starlette's own patterns end at a line break
    return [
        Route("/", api, methods=["POST"]),
        below_v1,
        Route("/metrics", metrics),
        *(Route(path, api) for path in PATHS),
    ]
