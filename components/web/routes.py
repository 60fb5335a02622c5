"""The routes of the plain pages and files."""

from starlette.routing import BaseRoute, Route

from components import paths
from components.web.downloads import download_everything, download_json, download_markdown
from components.web.imports import import_file, show_import
from components.web.shared import copy_shared, show_shared


def build_pages() -> list[BaseRoute]:
    """Routes to put beside those of the APIs."""
    return [
        Route(paths.CONVERSATIONS_JSON, download_everything),
        Route(paths.CONVERSATION_JSON, download_json),
        Route(paths.CONVERSATION_MARKDOWN, download_markdown),
        Route(paths.IMPORT, show_import, methods=["GET"]),
        Route(paths.IMPORT, import_file, methods=["POST"]),
        Route(paths.SHARED, show_shared),
        Route(paths.SHARED_COPY, copy_shared, methods=["POST"]),
    ]
