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
from components.web.highlighting import code_style
from components.web.texts import PageTexts, Problem, texts_for

HERE = Path(__file__).parent / "templates"


def page(
    request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, *, forms: bool = False, **values: Any
) -> HTMLResponse:
    """A page in the reader's language. No search engine keeps it, and nobody on the way does.

    With ``forms`` it may send some here.
    """
    up = "../" * (below_base(request.scope["path"]).count("/") - 1) or "./"
    content = render(template, texts_for(request.headers), up=up, forms=forms, **values)
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"{content_security_policy(forms=forms)}; frame-ancestors 'none'",
        "Referrer-Policy": referrer_policy(forms=forms),
        "X-Robots-Tag": "noindex, nofollow",
        "Vary": "Accept-Language",
    }
    return HTMLResponse(content, status, headers)


def render(template: str, texts: PageTexts, *, up: str = "", forms: bool = False, **values: Any) -> str:
    """A page as HTML. Without ``up``, which leads to the chat, it is one of those that lie in a folder."""
    return (
        _environment()
        .get_template(template)
        .render(
            texts=texts,
            style=_style(),
            policy=content_security_policy(forms=forms),
            referrer=referrer_policy(forms=forms),
            up=up,
            **values,
        )
    )


def problem_page(request: Request, problem: Problem, status: HTTPStatus) -> HTMLResponse:
    """What went wrong."""
    heading, sentence = texts_for(request.headers).problems[problem]
    return page(request, "problem.html", status, heading=heading, sentence=sentence)


def not_found(request: Request) -> HTMLResponse:
    """The one answer for what is not there, any more, or is somebody else's."""
    return problem_page(request, "not_found", HTTPStatus.NOT_FOUND)


def store_away(request: Request) -> HTMLResponse:
    """The database cannot be used at present."""
    return problem_page(request, "store_away", HTTPStatus.SERVICE_UNAVAILABLE)


@lru_cache(maxsize=2)
def content_security_policy(*, forms: bool = False) -> str:
    """Nothing is fetched and nothing runs; ``forms`` are sent here or nowhere.

    Formulas have style attributes; ``mathml`` gives them to nothing else.
    """
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; style-src-attr 'unsafe-inline'; img-src data:; "
        f"form-action '{'self' if forms else 'none'}'; base-uri 'none'"
    )


def referrer_policy(*, forms: bool = False) -> str:
    """No other site learns a page's address, which is all that it takes to read it.

    Where there are ``forms``, this server does. With no-referrer a form comes from the origin "null", as those of other
    sites may, and without TLS browsers say nothing else of where it comes from.
    """
    return "same-origin" if forms else "no-referrer"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@lru_cache(maxsize=1)
def _style() -> str:
    return (HERE / "page.css").read_text(encoding="utf-8") + code_style()
