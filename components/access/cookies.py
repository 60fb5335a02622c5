"""The cookies by which a browser is known again: one says what it may do, the other who it is.

They are signed, not stored: the server keeps no list of who is signed in. So signing out clears the browser's copies,
and a copy that somebody took stays good until it expires, or until the code that it came from is changed. A name has
nothing to do with codes: what a person wrote must be found after any of them was changed.

Browsers keep cookies by host, not by port. So that two servers on one machine do not overwrite each other's, and with
them whose conversations are whose, each calls its cookies by a name of its own.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

from components.access.codes import Codes
from components.access.identity import CodeLevel

COOKIE = "baichuan_access"
"""The beginning of a cookie's name, which the server goes on with."""
MAX_AGE_SECONDS = 30 * 24 * 3600

NAME_COOKIE = "baichuan_reader"
NAME_MAX_AGE_SECONDS = 400 * 24 * 3600
"""As long as browsers keep any cookie."""

RENEWED_AFTER_SECONDS = 24 * 3600
"""A cookie that is older is given anew when the page is opened, so that none expires that is used."""


@dataclass(frozen=True)
class Session:
    """What a valid cookie says.

    Attributes:
        level: what they may do; None for somebody who needed no code, which only earlier versions wrote.
        name: the browser's own.
        is_old: whether the cookie should be given anew.
    """

    level: CodeLevel | None
    name: str
    is_old: bool = False


class Cookies:
    """Signs and reads the cookies. Each code has a key of its own, so a changed code voids what the old one signed.

    Attributes:
        access: what the cookie is called that says what a browser may do.
        reader: what the cookie is called that says who it is.
    """

    def __init__(self, codes: Codes) -> None:
        server = hashlib.sha256(f"names of cookies/{codes.cookie_secret}".encode()).hexdigest()[:8]
        self.access, self.reader = f"{COOKIE}_{server}", f"{NAME_COOKIE}_{server}"
        codes_of: dict[CodeLevel | None, str] = {"owner": codes.owner, "visitor": codes.visitor, None: ""}
        self._serializers = {level: _serializer(codes, f"{COOKIE}/{level}/{code}") for level, code in codes_of.items()}
        self._names = _serializer(codes, NAME_COOKIE)

    def sign(self, session: Session) -> str:
        """The cookie's value."""
        return str(self._serializers[session.level].dumps(session.name))

    def read(self, value: str | None) -> Session | None:
        """What the cookie says; None when there is none, it is too old, or it was not signed here."""
        for level, serializer in self._serializers.items():
            if (read := _read(serializer, value, MAX_AGE_SECONDS)) is not None:
                return Session(level, *read)
        return None

    def sign_name(self, name: str) -> str:
        """The value of the cookie that only says who a browser is."""
        return str(self._names.dumps(name))

    def read_name(self, value: str | None) -> tuple[str, bool] | None:
        """The name, and whether the cookie should be given anew; None when there is none, or it was not signed here."""
        return _read(self._names, value, NAME_MAX_AGE_SECONDS)


def new_name() -> str:
    """A name that nobody has yet."""
    return secrets.token_urlsafe(9)


def _read(serializer: URLSafeTimedSerializer, value: str | None, max_age: int) -> tuple[str, bool] | None:
    if not value:
        return None  # as with every request to an API
    try:
        name, signed_at = serializer.loads(value, max_age=max_age, return_timestamp=True)
    except BadData:
        return None
    return str(name), time.time() - signed_at.timestamp() > RENEWED_AFTER_SECONDS


def _serializer(codes: Codes, salt: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        codes.cookie_secret,
        salt=salt,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
