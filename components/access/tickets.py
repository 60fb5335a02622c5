"""Tickets: for an hour, a link on the page shows whose conversations a request may read.

A browser's cookie shows that too. But who signed in with an OpenID provider is known to Streamlit's page alone, and a
download is a request of its own. So the page, which knows its reader, puts a ticket into such links. Nobody can forge
one; but whoever is given the link can use it for that hour.
"""

import hashlib

from itsdangerous import BadData, URLSafeTimedSerializer

from components.access.policy import get_access_policy

MAX_AGE_SECONDS = 3600


def issue(reader: str) -> str:
    """A ticket, in letters that an address may hold, for a reader as ``Identity.reader`` gives them."""
    return str(_serializer().dumps(reader))


def read(text: str) -> str | None:
    """Whose ticket it is; None when it is too old, or was not issued here."""
    try:
        return str(_serializer().loads(text, max_age=MAX_AGE_SECONDS))
    except BadData:
        return None


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        get_access_policy().codes.cookie_secret,
        salt="baichuan_ticket",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
