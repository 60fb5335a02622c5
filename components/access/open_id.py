"""What a stranger needs of the server to sign in with an OpenID provider, which Streamlit's page itself asks for.

With ``sign_in`` set, the access policy lets these pass, and the page shows nothing but the way to the provider to those
who are not signed in there (``components/ui/sign_in.py``).
"""

from starlette.requests import HTTPConnection

from components.access.address import below_base
from components.access.origin import SAFE_METHODS
from components.access.streamlit_protocol import uploading_tab

STREAM = "/_stcore/stream"

_PAGE = frozenset({"/", "/favicon.png", "/manifest.json", "/_stcore/health", "/_stcore/host-config"})
_PROVIDER = frozenset({"/auth/login", "/auth/logout", "/oauth2callback"})
_FOLDERS = ("/static/", "/media/")
"""Streamlit's scripts, and pictures and downloads, whose names nobody guesses."""


def is_needed_to_sign_in(connection: HTTPConnection) -> bool:
    """Whether a request or WebSocket is part of the page or of the way to the provider and back.

    So is a file that is brought in: only the page, which shows the field to those who are signed in, knows them.
    """
    path, method = below_base(connection.scope["path"]), connection.scope.get("method", "")
    if connection.scope["type"] == "websocket":
        return path == STREAM
    is_page = path in _PAGE or path in _PROVIDER or path.startswith(_FOLDERS)
    return (is_page and method in SAFE_METHODS) or uploading_tab(method, path) is not None
