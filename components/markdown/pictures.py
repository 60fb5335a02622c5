"""Which pictures a reply may show."""

from urllib.parse import urlsplit

from components.settings import get_settings


def may_show(address: str) -> bool:
    """Whether the browser may fetch this picture: it carries its data itself, or the owner allows its host."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return True
    return parts.scheme == "https" and any(_matches(parts.netloc.lower(), host) for host in get_settings().image_hosts)


def _matches(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed
