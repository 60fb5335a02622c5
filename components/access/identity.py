"""Who a request comes from, and what they may do."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection

CodeLevel = Literal["owner", "visitor"]
"""What a code, or a cookie that came of one, lets somebody be."""

AccessLevel = Literal["owner", "local", "visitor", "key"]
"""What somebody may do. ``owner``: everything; only the owner's code makes one. ``local``: sits at this machine, as far
as a request can show it, and may use the model without limits. ``visitor``: may use it within limits. ``key``: a
program with a named API key, which has limits, too, and may read the metrics."""

_STATE_KEY = "identity"


@dataclass(frozen=True)
class Identity:
    """One who came in.

    Attributes:
        level: what they may do.
        name: the key's name; else an id that a browser keeps, or without cookies the network address.
        address: the network that they come from, where many names can be had from one network for the asking; else
            empty.
        reader: the key under which their conversations are kept; empty for who cannot be known again, and must not be
            taken for somebody else.
    """

    level: AccessLevel
    name: str
    address: str = ""
    reader: str = ""

    @property
    def account(self) -> str:
        """What the engine knows them by: whose turn it is, and whose share is used up."""
        return f"{self.level}:{self.name}"

    @property
    def is_owner(self) -> bool:
        """Whether they run this server: they see who is served, and may cancel it."""
        return self.level == "owner"

    @property
    def may_read_metrics(self) -> bool:
        """Whether they may have the figures of the whole server."""
        return self.level in ("owner", "key")

    @property
    def is_limited(self) -> bool:
        """Whether their share is limited."""
        return self.level in ("visitor", "key")


def browser_reader(name: str) -> str:
    """The key of a browser's conversations."""
    return f"browser:{name}"


def user_reader(issuer: str, subject: str) -> str:
    """The key of the conversations of somebody whom an OpenID provider knows, on whichever device.

    A hash, since both may be of any length. JSON, so that no two pairs run into one another, whatever is in them.
    """
    return f"user:{hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()}"


def identity_of(connection: HTTPConnection) -> Identity:
    """Who sent a request or opened a WebSocket that the access middleware let pass."""
    identity: Identity = connection.scope["state"][_STATE_KEY]
    return identity


def set_identity(connection: HTTPConnection, identity: Identity) -> None:
    """For the middleware: note who was let in."""
    connection.scope.setdefault("state", {})[_STATE_KEY] = identity
