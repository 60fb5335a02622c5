"""Headers that tell browsers to be careful, on every response."""

import base64
import hashlib
import re
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import file_util

from components.settings import get_settings


def build_headers() -> dict[str, str]:
    """The headers, for the page of the Streamlit that is installed."""
    return {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        # An address may carry settings, and a link to sign in carries a code: other sites need not see them.
        "Referrer-Policy": "same-origin",
        # Everything comes from this server. Streamlit's page sets styles from its scripts and holds a script itself;
        # data: and blob: are pictures, fonts and downloads that the page makes.
        "Content-Security-Policy": (
            f"default-src 'self'; script-src 'self' {' '.join(_inline_scripts())}; style-src 'self' 'unsafe-inline'; "
            f"{_image_sources()}; font-src 'self' data:; media-src 'self' data: blob:; "
            "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
        ),
    }


def _image_sources() -> str:
    """Where pictures may come from: here, and the hosts that the owner allows."""
    return " ".join(["img-src 'self' data: blob:", *(f"https://{host}" for host in get_settings().image_hosts)])


def _inline_scripts() -> list[str]:
    """The hashes by which a policy allows the scripts that stand in Streamlit's page, and no others."""
    page = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    return [f"'sha256-{digest}'" for digest in digests]


class SecurityHeaders:
    """Adds the headers where the response does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = build_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers added to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
