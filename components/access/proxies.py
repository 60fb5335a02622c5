"""Whether a request shows that a proxy passed it on, so that a stranger may stand behind it.

There is no list of all proxies. What they add follows a few habits, though: whom they speak for, on which way, and a
prefix of their own. A proxy that adds nothing cannot be told from a program on this machine; that is why only a code
makes somebody the owner.
"""

import re
from collections.abc import Iterable

from starlette.requests import HTTPConnection

_NAMES = frozenset(
    {
        "via",
        "forwarded",
        "max-forwards",
        "cdn-loop",
        "front-end-https",
        "x-arr-log-id",
        "x-arr-ssl",
        "x-cloud-trace-context",
        "x-host",
        "x-proto",
        "x-request-start",
        "x-scheme",
        "x-url-scheme",
        "x-varnish",
    }
)
_PREFIXES = (
    "akamai-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
    "ngrok-",
    "proxy-",
    "tailscale-",
    "wl-proxy-",
    "x-akamai-",
    "x-amz-cf-",
    "x-amzn-",
    "x-appengine-",
    "x-azure-",
    "x-envoy-",
    "x-forwarded",
    "x-nf-",
    "x-original-",
    "x-proxy",
    "x-real-",
    "x-vercel-",
)
_WHOSE = re.compile(
    r"(^|-)(client|cluster|connecting|direct|external|originating|peer|real|remote|sender|source|user)"
    r"-?(ip|ipv6|addr|address)(-|$)"
)
"""A field for the address of somebody other than the sender."""


def came_through_proxy(connection: HTTPConnection) -> bool:
    """Whether anything about a request or WebSocket shows a proxy."""
    # Browsers and HTTP libraries have spoken 1.1 for twenty years; nginx speaks 1.0 to what is behind it unless told.
    return connection.scope.get("http_version") == "1.0" or has_proxy_header(connection.headers)


def has_proxy_header(names: Iterable[str]) -> bool:
    """Whether one of the header fields is a proxy's."""
    return any(_is_proxys(name.lower()) for name in names)


def _is_proxys(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES) or _WHOSE.search(name) is not None
