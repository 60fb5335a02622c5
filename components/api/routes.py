"""Every route of the application that is not the page."""

from starlette.routing import BaseRoute, Route

from components.api.health import health, ready
from components.api.metrics import metrics
from components.api.tutorial import answer


def build_routes() -> list[BaseRoute]:
    """The routes to mount beside the page."""
    return [
        Route("/", answer, methods=["POST"]),
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", metrics),
    ]
