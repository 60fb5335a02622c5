"""Signing in and out: ``/login``, ``/logout``, and a link that carries the code.

Redirects are relative, so they lead right below any path of a proxy.
"""

from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from components.access.address import base_path, below_base
from components.access.cookies import MAX_AGE_SECONDS, NAME_MAX_AGE_SECONDS, Cookies, Session, new_name
from components.access.identity import CodeLevel
from components.access.login_page import Target, sign_in_page, sign_out_page
from components.access.origin import is_forged
from components.access.policy import FORGED, AccessPolicy, Refused, address_of

MAX_FORM_BYTES = 4096


class SignIn:
    """Answers what has to do with signing in; None for everything else."""

    def __init__(self, policy: AccessPolicy) -> None:
        self._policy = policy

    async def answer(self, request: Request) -> Response | None:
        """The answer to a request that signs in or out.

        Raises:
            Refused: the form is too large, or another site's page sent it.
        """
        path = below_base(request.scope["path"])
        if request.method in ("GET", "HEAD") and request.scope["path"] == base_path() != "":
            # Without the slash, what is relative here and in Streamlit's page would lead one level too high.
            return _go(Target(f"{base_path().rpartition('/')[2]}/?{_query(request)}"))
        match request.method, path:
            case "GET" | "HEAD", "/login":
                return sign_in_page(request.headers, Target(_next(_query(request))), HTTPStatus.OK)
            case "POST", "/login":
                return await self._sign_in(request)
            case "GET" | "HEAD", "/logout":
                return sign_out_page(request.headers, Target(_next(_query(request))))
            case "POST", "/logout":
                return await self._sign_out(request)
            case "GET", "/" if "code" in request.query_params:
                return self._follow_link(request)
        return None

    async def _sign_in(self, request: Request) -> Response:
        form = await _read_form(request)
        target = Target(form.get("next", ""))
        if is_forged(request, self._policy.settings.cors_origins):
            return sign_in_page(request.headers, target, HTTPStatus.FORBIDDEN, "forged")
        return self._try_code(request, form.get("code", ""), target)

    def _follow_link(self, request: Request) -> Response:
        code = request.query_params["code"]
        target = target_of(request)
        if self._policy.recognise(request.headers, request.cookies, address_of(request)) is None:
            return self._try_code(request, code, target)
        # Somebody who is in already: the owner's code makes a visitor the owner, and a stale code does no harm.
        try:
            level = self._policy.level_of_code(code, address_of(request))
        except Refused:
            level = None
        return self._enter(request, level, target) if level == "owner" else _go(target)

    def _try_code(self, request: Request, code: str, target: Target) -> Response:
        try:
            level = self._policy.level_of_code(code, address_of(request))
        except Refused as refused:
            return sign_in_page(request.headers, target, refused.status, "wait", refused.headers["Retry-After"])
        if level is None:
            return sign_in_page(request.headers, target, HTTPStatus.UNAUTHORIZED, "wrong")
        return self._enter(request, level, target)

    def _enter(self, request: Request, level: CodeLevel, target: Target) -> Response:
        session = Session(level, self._policy.name_of(request.cookies) or new_name())
        response = _go(target)
        set_session(response, request, self._policy.cookies, session)
        return response

    async def _sign_out(self, request: Request) -> Response:
        form = await _read_form(request)
        if is_forged(request, self._policy.settings.cors_origins):
            raise Refused(HTTPStatus.FORBIDDEN, FORGED)
        response = _go(Target(form.get("next", "")))
        name = self._policy.name_of(request.cookies)
        cookies = self._policy.cookies
        for cookie in (cookies.access, cookies.reader) if "forget" in form else (cookies.access,):
            response.delete_cookie(cookie, path=base_path() or "/", httponly=True, samesite="lax")
        if "forget" not in form and name is not None:
            set_name(response, request, cookies, name)
        return response


def set_session(response: Response, request: Request, cookies: Cookies, session: Session) -> None:
    """Give the browser the cookie that says what it may do."""
    _set(response, request, cookies.access, cookies.sign(session), MAX_AGE_SECONDS)


def set_name(response: Response, request: Request, cookies: Cookies, name: str) -> None:
    """Give the browser the cookie that says who it is."""
    _set(response, request, cookies.reader, cookies.sign_name(name), NAME_MAX_AGE_SECONDS)


def _set(response: Response, request: Request, cookie: str, value: str, max_age: int) -> None:
    """A cookie that no script can read. It is for TLS alone where the request came by TLS."""
    response.set_cookie(
        cookie,
        value,
        max_age=max_age,
        path=base_path() or "/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="lax",
    )


def target_of(request: Request) -> Target:
    """The address of a request, without the code that it may carry."""
    path = below_base(request.scope["path"])
    return Target(_next(_query(request), path.lstrip("/")), "../" * (path.count("/") - 1))


def _query(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


def _next(query: str, path: str = "") -> str:
    kept = "&".join(part for part in query.split("&") if part and not _is_code(part))
    return f"{path}?{kept}" if kept else path


def _is_code(part: str) -> bool:
    return any(name == "code" for name, _ in parse_qsl(part, keep_blank_values=True))


def _go(target: Target) -> RedirectResponse:
    # The leading dot makes whatever follows a path below this server: a form cannot send anybody elsewhere.
    return RedirectResponse(f"./{target.path}", HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


async def _read_form(request: Request) -> dict[str, str]:
    length = request.headers.get("content-length", "")
    if not (length.isdecimal() and int(length) <= MAX_FORM_BYTES):
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send a form of at most {MAX_FORM_BYTES} bytes.")
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
