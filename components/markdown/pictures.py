"""Which pictures a reply may show, and what stands for the others."""

from urllib.parse import urlsplit

from components.settings import get_settings


def may_show(address: str) -> bool:
    """Whether the browser may fetch this picture: it carries its data itself, or the owner allows its host."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return True
    return parts.scheme == "https" and any(_matches(parts.netloc.lower(), host) for host in get_settings().image_hosts)


def picture_label(address: str, alt: str) -> str:
    """The words of a link that stands for a picture: what is on it or the file's name, and the host that has it."""
    host = urlsplit(address).netloc
    name = alt or address.rstrip("/").rsplit("/", 1)[-1] or address
    return f"{name} ({host})" if host and name != host else name


def _matches(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed
