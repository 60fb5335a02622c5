"""How much of what browsers bring in this server holds: one file a tab, and a bounded number of bytes for all.

Streamlit holds every file in memory for as long as the tab is open, and takes any number of them.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import Request
from streamlit import config
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.stats import CacheStat

from components.access.policy import Refused

FORM_BYTES = 16 * 1024
"""What a request has around its file."""

MOST_AT_ONCE = 8
"""So many files of the largest size are held at once."""


class Uploads:
    """Admits files, one after the other. Belongs to the event loop."""

    def __init__(self, longest: int) -> None:
        """``longest`` is how many bytes a file may have. It is told to Streamlit, which counts in MB."""
        self._longest = longest
        self._coming = 0
        config.set_option("server.maxUploadSize", largest_mb(longest))

    @contextmanager
    def admitted(self, request: Request, tab: str) -> Iterator[None]:
        """While a file comes in; the one that this tab brought in before is forgotten.

        Raises:
            Refused: it does not say how long it is, is too long, or there are too many.
        """
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length.")
        if int(length) > self._longest + FORM_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A file may have {self._longest} bytes.")
        forget_uploads(tab)
        if held_bytes() + self._coming + int(length) > MOST_AT_ONCE * (self._longest + FORM_BYTES):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too many files are brought in at present. Try again soon.")
        self._coming += int(length)
        try:
            yield
        finally:
            self._coming -= int(length)


def largest_mb(longest: int) -> int:
    """So many bytes in MB, as Streamlit counts a file's size."""
    return math.ceil(longest / 2**20)


def held_bytes() -> int:
    """What the files have that are held now."""
    families = get_instance().uploaded_file_mgr.get_stats()
    return sum(stat.byte_length for stats in families.values() for stat in stats if isinstance(stat, CacheStat))


def forget_uploads(tab: str = "") -> None:
    """Hold the files of a tab no longer; without an id, of the one whose page this is."""
    if not tab and (context := get_script_run_ctx()) is not None:
        tab = context.session_id
    get_instance().uploaded_file_mgr.remove_session_files(tab)
