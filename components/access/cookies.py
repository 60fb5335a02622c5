"""The cookie by which a browser is known again.

It is signed, not stored: the server keeps no list of who is signed in. So signing out clears the browser's copy, and
a copy that somebody took stays good until it expires or the code that it came from is changed.
"""

import hashlib
import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

from components.access.codes import Codes
from components.access.identity import CodeLevel

COOKIE = "baichuan_access"
MAX_AGE_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Session:
    """What a valid cookie says. ``level`` is None for somebody who needed no code: only the name counts."""

    level: CodeLevel | None
    name: str


class Cookies:
    """Signs and reads the cookie. Each code has a key of its own, so a changed code voids what the old one signed."""

    def __init__(self, codes: Codes) -> None:
        codes_of: dict[CodeLevel | None, str] = {"owner": codes.owner, "visitor": codes.visitor, None: ""}
        self._serializers = {level: _serializer(codes, level, code) for level, code in codes_of.items()}

    def sign(self, session: Session) -> str:
        """The cookie's value."""
        return str(self._serializers[session.level].dumps(session.name))

    def read(self, value: str | None) -> Session | None:
        """What the cookie says; None when there is none, it is too old, or it was not signed here."""
        for level, serializer in self._serializers.items() if value else ():
            try:
                return Session(level, str(serializer.loads(value or "", max_age=MAX_AGE_SECONDS)))
            except BadData:
                continue
        return None


def new_session(level: CodeLevel | None) -> Session:
    """A session with a name that nobody has yet."""
    return Session(level, secrets.token_urlsafe(9))


def _serializer(codes: Codes, level: CodeLevel | None, code: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        codes.cookie_secret,
        salt=f"{COOKIE}/{level}/{code}",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
