"""The decision who may come in, for requests and for the page alike."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from starlette.requests import HTTPConnection

from components.access.address import host_name, is_loopback, listens_on_loopback
from components.access.attempts import Attempts
from components.access.caller import Caller, Role
from components.access.codes import Codes, load_codes
from components.access.cookies import COOKIE, Cookies, Session
from components.access.keys import FILE_NAME, PREFIX, KeyStore, KeyStoreError
from components.access.open_id import is_needed_to_sign_in
from components.access.origin import is_forged
from components.settings import Settings, get_settings

logger = logging.getLogger(__name__)

FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")

NO_KEY = frozenset({"empty", "none", "no-key", "not-needed", "sk-no-key-required"})
"""What is customary to send where a client insists on a key and the server has none. Ignored on an open server."""

MISSING = (
    "An access code or API key is needed. Send 'Authorization: Bearer KEY'; the server prints the code when it starts, "
    "and python keys.py add NAME makes keys."
)
WRONG = "This API key or access code is not valid (any more). Make a key on the server: python keys.py add NAME"
FORGED = "Another site's page sent this. If it may, add its origin to BAICHUAN_CORS_ORIGINS."


class Refused(Exception):  # noqa: N818 - an answer more than an error
    """Why somebody is not let in, and the headers that go with it."""

    def __init__(self, status: HTTPStatus, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


@dataclass(frozen=True)
class Door:
    """Who may come in: the settings, the codes, the keys, and the count of wrong codes."""

    settings: Settings
    codes: Codes
    cookies: Cookies
    keys: KeyStore
    attempts: Attempts
    on_loopback: bool

    @classmethod
    def of(cls, settings: Settings) -> "Door":
        """The door that the settings and Streamlit's address describe.

        Raises:
            SettingsError: the codes that were made before cannot be read.
        """
        codes = load_codes(settings)
        keys = KeyStore(settings.data_dir / FILE_NAME)
        return cls(settings, codes, Cookies(codes), keys, Attempts(), listens_on_loopback())

    @property
    def is_open_here(self) -> bool:
        """Whether this machine's own people come in without a code, as the owner."""
        return self.on_loopback and self.settings.access != "locked"

    def role_without_code(self, headers: Mapping[str, str]) -> Role | None:
        """As whom somebody comes in who shows nothing; None when a code is needed.

        On loopback only those count as this machine's own who call it so. Another name in ``Host`` means a proxy that
        strangers may stand behind, or a web page whose name was made to lead here (DNS rebinding).
        """
        is_called_so = is_loopback(host_name(headers.get("host", "")))
        if self.is_open_here and is_called_so and not any(name in headers for name in FORWARDING_HEADERS):
            return "owner"
        return "visitor" if self.settings.access == "open" else None

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """What a browser's cookie says, if it is valid."""
        return self.cookies.read(cookies.get(COOKIE))

    def recognise(self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str) -> Caller | None:
        """Who a browser is; None when it has to show a code first."""
        session = self.session(cookies)
        roles = {self.role_without_code(headers), session.role if session else None}
        name = session.name if session else address
        if "owner" in roles:
            return Caller("owner", name)
        return Caller("visitor", name) if "visitor" in roles else None

    def admit(self, connection: HTTPConnection) -> Caller:
        """Who sent a request or opens a WebSocket.

        Raises:
            Refused: it must not come in.
        """
        headers = connection.headers
        is_open = self.role_without_code(headers) is not None
        if (key := bearer(headers)) is not None and not (is_open and key.lower() in NO_KEY):
            return self._admit_key(key, address_of(connection))
        caller = self.recognise(headers, connection.cookies, address_of(connection))
        if caller is None and self.settings.sign_in and is_needed_to_sign_in(connection):
            caller = Caller("visitor", address_of(connection))
        if caller is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, MISSING, {"WWW-Authenticate": "Bearer"})
        trusted = self.settings.cors_origins
        if is_forged(connection, trusted) and not (is_open and "*" in trusted):
            raise Refused(HTTPStatus.FORBIDDEN, FORGED)
        return caller

    def role_of_code(self, code: str, address: str) -> Role | None:
        """Whose code this is; None when it is wrong, which is counted.

        Raises:
            Refused: too many were wrong; this one was not looked at.
        """
        if wait := math.ceil(self.attempts.wait(address)):
            reason = f"Too many wrong codes. Try again in {wait} s."
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, reason, {"Retry-After": str(wait)})
        role = self.codes.role_of(code)
        if role is None:
            self.attempts.failed(address)
        else:
            self.attempts.succeeded(address)
        return role

    def _admit_key(self, key: str, address: str) -> Caller:
        try:
            if name := self.keys.find(key):
                return Caller("key", name)
        except KeyStoreError as error:
            logger.error("%s", error)
            reason = "The server cannot read its API keys; its log says why."
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason) from error
        # What looks like a key is no guess at a code: a withdrawn one in some script must not slow sign-ins down.
        role = None if key.startswith(PREFIX) else self.role_of_code(key, address)
        if role is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, WRONG, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return Caller(role, address)


@lru_cache(maxsize=1)
def get_door() -> Door:
    """The one door of this process.

    Raises:
        SettingsError: a setting, or a file in the data folder, cannot be used.
    """
    return Door.of(get_settings())


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key in ``Authorization``; other schemes are none of ours, for instance a proxy's own password."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def address_of(connection: HTTPConnection) -> str:
    """The client's network address; behind a trusted proxy, what the proxy says it is (see uvicorn)."""
    return connection.client.host if connection.client else ""
