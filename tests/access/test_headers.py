"""What a browser is told that the page may do."""

from components.access.headers import build_headers
from components.access.login_page import CONTENT_SECURITY_POLICY


def directives(policy: str) -> dict[str, set[str]]:
    parts = [part.split() for part in policy.split(";")]
    assert len({name for name, *_ in parts}) == len(parts), "browsers heed the first of two alone"
    return {name: set(sources) for name, *sources in parts}


def test_the_page_loads_nothing_from_elsewhere() -> None:
    policy = directives(build_headers()["Content-Security-Policy"])
    scripts = {source for source in policy.pop("script-src") if not source.startswith("'sha256-")}
    assert scripts == {"'self'"}
    assert policy == {
        "default-src": {"'self'"},
        "style-src": {"'self'", "'unsafe-inline'"},
        "img-src": {"'self'", "data:", "blob:"},
        "font-src": {"'self'", "data:"},
        "media-src": {"'self'", "data:", "blob:"},
        "worker-src": {"'self'", "blob:"},
        "object-src": {"'none'"},
        "base-uri": {"'self'"},
        "form-action": {"'self'"},
        "frame-ancestors": {"'self'"},
    }


def test_the_login_page_loads_nothing_at_all() -> None:
    assert directives(CONTENT_SECURITY_POLICY) == {
        "default-src": {"'none'"},
        "style-src": {"'unsafe-inline'"},
        "img-src": {"data:"},
        "form-action": {"'self'"},
        "base-uri": {"'none'"},
        "frame-ancestors": {"'none'"},
    }
