"""Every route of the server that is not the page."""

from starlette.routing import BaseRoute, Route

from components.api.application import build_api


def build_routes() -> list[BaseRoute]:
    """The routes to put beside the page."""
    api = build_api()
    paths = ["/v1", "/v1/{path:path}", "/tokenize", "/detokenize", "/health", "/ready", "/docs", "/docs/style.css"]
    # Routes, not a Mount: they leave the path as it is, so that all of the APIs are one application with one
    # description. What is not listed belongs to the page, as does GET /.
    return [
        Route("/", api, methods=["POST"]),
        *(Route(path, api) for path in (*paths, "/openapi.json")),
    ]
