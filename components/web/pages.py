"""Makes the plain pages: self-contained, without scripts, under a strict content security policy."""

import base64
import hashlib
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from components.access.address import below_base
from components.settings import get_settings
from components.web.texts import Problem, texts_for

HERE = Path(__file__).parent / "templates"


def page(request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """A page in the reader's language. No search engine keeps it, and nobody on the way does."""
    up = "../" * (below_base(request.scope["path"]).count("/") - 1) or "./"
    content = (
        _environment().get_template(template).render(texts=texts_for(request.headers), style=_style(), up=up, **values)
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _content_security_policy(),
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "Vary": "Accept-Language, Cookie",
    }
    return HTMLResponse(content, status, headers)


def problem_page(request: Request, problem: Problem, status: HTTPStatus, detail: str = "") -> HTMLResponse:
    """What went wrong; ``detail`` is English."""
    heading, sentence = texts_for(request.headers).problems[problem]
    sentence = sentence.format(size=largest_file_mb())
    return page(request, "problem.html", status, heading=heading, sentence=sentence, detail=detail)


def not_found(request: Request) -> HTMLResponse:
    """The one answer for what is not there, any more, or is somebody else's."""
    return problem_page(request, "not_found", HTTPStatus.NOT_FOUND)


def store_away(request: Request) -> HTMLResponse:
    """The database cannot be used at present."""
    return problem_page(request, "store_away", HTTPStatus.SERVICE_UNAVAILABLE)


def largest_file_mb() -> str:
    """How large a file may be, for people."""
    return f"{get_settings().max_import_bytes / 2**20:g}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)


@lru_cache(maxsize=1)
def _style() -> str:
    return (HERE / "page.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _content_security_policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
