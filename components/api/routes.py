"""Every route of the server that is not the page."""

import re

from starlette.routing import BaseRoute, Route

from components import paths
from components.api.application import build_api
from components.api.metrics import metrics


def build_routes() -> list[BaseRoute]:
    """The routes to put beside the page.

    They are no Mount, which would take the path apart: all of the APIs are one application with one description. What
    is not listed belongs to the page, as does GET /.
    """
    api = build_api()
    below_v1 = Route(paths.V1, api)
    below_v1.path_regex = re.compile(rf"{paths.V1}(?:/.*)?\Z", re.DOTALL)  # starlette's own end at a line break
    elsewhere = {route.path for route in api.routes if isinstance(route, Route)} - {paths.TUTORIAL}
    return [
        Route(paths.TUTORIAL, api, methods=["POST"]),
        below_v1,
        Route(paths.METRICS, metrics),
        *(Route(path, api) for path in sorted(elsewhere) if not paths.is_below_v1(path)),
    ]
