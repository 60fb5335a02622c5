"""Whether another site's page sent a request in the name of a reader who is signed in here.

A browser adds cookies, and the reach of this machine's own ports, to requests that the reader never meant to make.
What it also adds, and no page can forge, is where the request comes from.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing here, and the browser keeps their answers from the other site's page."""


def is_forged(connection: HTTPConnection, trusted: Collection[str]) -> bool:
    """Whether a request must not act in its sender's name. Programs that are no browsers send no such headers.

    Args:
        connection: WebSockets count as acting, whatever their method.
        trusted: origins such as ``https://example.org`` whose pages may.
    """
    if connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS:
        return False
    headers = connection.headers
    if headers.get("origin") in trusted:
        return False
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")  # browsers without Sec-Fetch-Site, and those that came without TLS
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
