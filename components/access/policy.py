"""The decision who may come in and as whom, for requests and for the page alike."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from starlette.requests import HTTPConnection

from components.access.address import below_base, host_name, is_loopback, listens_on_loopback, network_of
from components.access.attempts import Attempts
from components.access.codes import Codes, load_codes
from components.access.cookies import Cookies, Session
from components.access.identity import AccessLevel, CodeLevel, Identity, browser_reader
from components.access.keys import FILE_NAME, PREFIX, KeyStore, KeyStoreError
from components.access.open_id import is_needed_to_sign_in
from components.access.origin import is_forged
from components.access.proxies import came_through_proxy, has_proxy_header
from components.settings import Settings, get_settings

logger = logging.getLogger(__name__)

OWNERS_PATHS = frozenset({"/metrics"})
"""Paths at which a key is looked at even where nobody needs one, since it may be the owner's code."""

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
class AccessPolicy:
    """Who may come in: the settings, the codes, the keys, and the count of wrong codes."""

    settings: Settings
    codes: Codes
    cookies: Cookies
    keys: KeyStore
    attempts: Attempts
    on_loopback: bool

    @classmethod
    def of(cls, settings: Settings) -> "AccessPolicy":
        """The policy that the settings and Streamlit's address describe.

        Raises:
            SettingsError: the codes that were made before cannot be read.
        """
        codes = load_codes(settings)
        keys = KeyStore(settings.data_dir / FILE_NAME)
        return cls(settings, codes, Cookies(codes), keys, Attempts(), listens_on_loopback())

    @property
    def is_open_here(self) -> bool:
        """Whether this machine's own people come in without a code."""
        return self.on_loopback and self.settings.access != "locked"

    def level_without_code(self, headers: Mapping[str, str]) -> AccessLevel | None:
        """As what somebody comes in who shows nothing; None when a code is needed.

        On loopback only those count as this machine's own who call it so. Another name in ``Host`` means a proxy that
        strangers may stand behind, or a web page whose name was made to lead here (DNS rebinding). It is never the
        owner: a proxy or tunnel on this machine can look like a person at it.
        """
        is_called_so = is_loopback(host_name(headers.get("host", "")))
        if self.is_open_here and is_called_so and not has_proxy_header(headers):
            return "local"
        return "visitor" if self.settings.access == "open" else None

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """What a browser's cookie says, if it is valid."""
        return self.cookies.read(cookies.get(self.cookies.access))

    def recognise(self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str) -> Identity | None:
        """Who a browser is; None when it has to show a code first."""
        return self._recognise(self.level_without_code(headers), cookies, address)

    def admit(self, connection: HTTPConnection) -> Identity:
        """Who sent a request or opens a WebSocket.

        Raises:
            Refused: it must not come in.
        """
        address = address_of(connection)
        level = self.level_without_code(connection.headers)
        if level == "local" and came_through_proxy(connection):
            level = None
        identity = self._by_key(connection, address, is_open=level is not None)
        if identity is not None:
            return identity
        identity = self._recognise(level, connection.cookies, address)
        if identity is None and self.settings.sign_in and is_needed_to_sign_in(connection):
            identity = visitor(address, address)
        if identity is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, MISSING, {"WWW-Authenticate": "Bearer"})
        trusted = self.settings.cors_origins
        if is_forged(connection, trusted) and not (level is not None and "*" in trusted):
            raise Refused(HTTPStatus.FORBIDDEN, FORGED)
        return identity

    def level_of_code(self, code: str, address: str) -> CodeLevel | None:
        """Whose code this is; None when it is wrong, which is counted.

        Raises:
            Refused: too many were wrong; this one was not looked at.
        """
        if wait := math.ceil(self.attempts.wait(address)):
            reason = f"Too many wrong codes. Try again in {wait} s."
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, reason, {"Retry-After": str(wait)})
        level = self.codes.level_of(code)
        if level is None:
            self.attempts.failed(address)
        else:
            self.attempts.succeeded(address)
        return level

    def name_of(self, cookies: Mapping[str, str]) -> str | None:
        """The name that a browser keeps; None when it has none."""
        if (named := self.cookies.read_name(cookies.get(self.cookies.reader))) is not None:
            return named[0]
        session = self.session(cookies)  # it says the name, too, where an earlier version gave it
        return session.name if session else None

    def _recognise(self, level: AccessLevel | None, cookies: Mapping[str, str], address: str) -> Identity | None:
        session = self.session(cookies)
        levels = {level, session.level if session else None}
        kept = self.name_of(cookies)
        name, reader = kept or address, browser_reader(kept) if kept else ""
        if "owner" in levels:
            return Identity("owner", name, reader=reader)
        if "local" in levels:
            return Identity("local", name, reader=reader)
        return visitor(name, address, reader) if "visitor" in levels else None

    def _by_key(self, connection: HTTPConnection, address: str, *, is_open: bool) -> Identity | None:
        """Who shows a key; None for nobody, and for any key but a right one where nobody needs one.

        Clients that insist on a key send anything where there is none. So where nobody needs a key, a wrong one is no
        guess at a code; and that nobody may guess there without end, a code is only looked for where it is of use.
        """
        key = bearer(connection.headers)
        if key is None:
            return None
        if name := self._name_of_key(key):
            return Identity("key", name)
        if is_open and below_base(connection.scope["path"]) not in OWNERS_PATHS:
            return None
        # What looks like a key is no guess at a code: a withdrawn one in some script must not slow sign-ins down.
        level = None if key.startswith(PREFIX) else self.level_of_code(key, address)
        if level is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, WRONG, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return Identity("owner", address) if level == "owner" else visitor(address, address)

    def _name_of_key(self, key: str) -> str | None:
        try:
            return self.keys.find(key)
        except KeyStoreError as error:
            logger.error("%s", error)
            reason = "The server cannot read its API keys; its log says why."
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason) from error


@lru_cache(maxsize=1)
def get_access_policy() -> AccessPolicy:
    """The one policy of this process.

    Raises:
        SettingsError: a setting, or a file in the data folder, cannot be used.
    """
    return AccessPolicy.of(get_settings())


def visitor(name: str, address: str, reader: str = "") -> Identity:
    """A visitor. Whoever has the code can have any number of names, so the network counts, too."""
    return Identity("visitor", name, network_of(address), reader)


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key in ``Authorization``; other schemes are none of ours, for instance a proxy's own password."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def address_of(connection: HTTPConnection) -> str:
    """The client's network address; behind a trusted proxy, what the proxy says it is (see uvicorn)."""
    return connection.client.host if connection.client else ""
