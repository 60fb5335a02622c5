"""In front of the page, its WebSocket, its files and the APIs: who is not known is not let in.

Plain ASGI, so that replies stream through it.
"""

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.access.address import base_path, below_base
from components.access.cookies import new_name
from components.access.identity import set_identity
from components.access.login_page import sign_in_page
from components.access.origin import SAFE_METHODS
from components.access.policy import AccessPolicy, Refused, address_of, bearer, get_access_policy, visitor
from components.access.sign_in import SignIn, set_name, set_session, target_of
from components.paths import HEALTH, LAB, OPERATIONS, ROBOTS, is_shared, is_vote

ALWAYS_OPEN = frozenset({HEALTH, ROBOTS})
"""Paths that need nothing, beside what readers share (``is_shared``). Compared with the decoded path that the router
sees, letter by letter: no other spelling."""

Refuse = Callable[[str, Refused], Response]
"""Turns a refusal at a path, given without the base path, into an answer of that API's form."""


class AccessMiddleware:
    """Lets in whom the policy admits, and notes who it is (``identity_of``)."""

    def __init__(self, app: ASGIApp, refuse: Refuse, policy: AccessPolicy | None = None) -> None:
        self._app = app
        self._refuse = refuse
        self._policy = policy or get_access_policy()
        self._sign_in = SignIn(self._policy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the policy admits; answer the rest here."""
        if scope["type"] == "http":
            await self._handle_request(Request(scope, receive), scope, receive, send)
        elif scope["type"] == "websocket":
            await self._handle_websocket(HTTPConnection(scope), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _handle_websocket(self, connection: HTTPConnection, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            set_identity(connection, self._policy.admit(connection))
        except Refused:
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: HTTP 403
            return
        await self._app(scope, receive, send)

    async def _handle_request(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        path = below_base(scope["path"])
        try:
            if answer := await self._sign_in.answer(request):
                await answer(scope, receive, send)
                return
            is_open = (
                path in ALWAYS_OPEN
                or (request.method in SAFE_METHODS and is_shared(path))
                or (request.method == "POST" and is_vote(path))
            )
            address = address_of(request)
            identity = visitor(address, address) if is_open else self._policy.admit(request)
        except Refused as refused:
            await self._answer_refused(request, path, refused)(scope, receive, send)
            return
        set_identity(request, identity)
        await self._app(scope, receive, self._with_cookies(request, send) if self._opens_page(request) else send)

    def _answer_refused(self, request: Request, path: str, refused: Refused) -> Response:
        is_page = request.method in SAFE_METHODS and "text/html" in request.headers.get("accept", "")
        if is_page and bearer(request.headers) is None:
            return sign_in_page(request.headers, target_of(request), refused.status)
        return self._refuse(path, refused)

    def _opens_page(self, request: Request) -> bool:
        return request.method == "GET" and request.scope["path"] in {
            f"{base_path()}{page}" for page in ("/", OPERATIONS, LAB)
        }

    def _with_cookies(self, request: Request, send: Send) -> Send:
        """The page gives each browser a name of its own, and renews what is getting old."""
        cookies = self._policy.cookies
        answer = Response()
        named = cookies.read_name(request.cookies.get(cookies.reader))
        if named is None or named[1]:
            set_name(answer, request, cookies, self._policy.name_of(request.cookies) or new_name())
        session = self._policy.session(request.cookies)
        if session is not None and session.level is not None and session.is_old:
            set_session(answer, request, cookies, session)

        async def send_with_cookies(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for value in answer.headers.getlist("set-cookie"):
                    headers.append("set-cookie", value)
                    headers["cache-control"] = "private, no-cache"  # a proxy's copy would give others this name
            await send(message)

        return send_with_cookies
