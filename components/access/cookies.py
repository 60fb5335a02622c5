"""The cookie by which a browser is known again.

It is signed, not stored: the server keeps no list of who is signed in. So signing out clears the browser's copy, and
a copy that somebody took stays good until it expires or the code that it came from is changed.
"""

import hashlib
import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

from components.access.caller import Role
from components.access.codes import Codes

COOKIE = "baichuan_access"
MAX_AGE_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Session:
    """What a valid cookie says. ``role`` is None for somebody who came through an open door: only the name counts."""

    role: Role | None
    name: str


class Cookies:
    """Signs and reads the cookie. Each code has a key of its own, so a changed code voids what the old one signed."""

    def __init__(self, codes: Codes) -> None:
        codes_of: dict[Role | None, str] = {"owner": codes.owner, "visitor": codes.visitor, None: ""}
        self._serializers = {role: _serializer(codes, role, code) for role, code in codes_of.items()}

    def sign(self, session: Session) -> str:
        """The cookie's value."""
        return str(self._serializers[session.role].dumps(session.name))

    def read(self, value: str | None) -> Session | None:
        """What the cookie says; None when there is none, it is too old, or it was not signed here."""
        for role, serializer in self._serializers.items() if value else ():
            try:
                return Session(role, str(serializer.loads(value or "", max_age=MAX_AGE_SECONDS)))
            except BadData:
                continue
        return None


def new_session(role: Role | None) -> Session:
    """A session with a name that nobody has yet."""
    return Session(role, secrets.token_urlsafe(9))


def _serializer(codes: Codes, role: Role | None, code: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        codes.cookie_secret,
        salt=f"{COOKIE}/{role}/{code}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
