"""What every request, the page's included, goes through before a route sees it."""

from starlette.middleware import Middleware

from components.access.headers import SecurityHeaders
from components.access.middleware import AccessMiddleware
from components.access.streamlit_filter import StreamlitFilter
from components.api.cors import ApiCors
from components.api.nowhere import TidyPaths
from components.api.refusals import refuse
from components.api.request_log import RequestLog
from components.settings import get_settings


def build_middleware() -> list[Middleware]:
    """The middleware, outermost first."""
    origins = get_settings().cors_origins
    cors = [Middleware(ApiCors, origins=origins)] if origins else []
    return [
        Middleware(RequestLog),
        Middleware(TidyPaths),
        Middleware(SecurityHeaders),
        *cors,
        Middleware(AccessMiddleware, refuse=refuse),
        Middleware(StreamlitFilter, refuse=refuse),
    ]
