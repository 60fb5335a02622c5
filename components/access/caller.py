"""Who a request comes from."""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection

Role = Literal["owner", "visitor"]

_STATE_KEY = "caller"


@dataclass(frozen=True)
class Caller:
    """One who came in.

    Attributes:
        role: ``key`` is a program with a named API key; the others came by a code, or through an open door.
        name: the key's name; else an id that a browser keeps, or without cookies the network address.
    """

    role: Literal["owner", "visitor", "key"]
    name: str

    @property
    def account(self) -> str:
        """What the engine knows the caller by: whose turn it is, and whose share is used up."""
        return f"{self.role}:{self.name}"

    @property
    def is_limited(self) -> bool:
        """Whether the caller's share is limited."""
        return self.role != "owner"


def caller_of(connection: HTTPConnection) -> Caller:
    """Who a request or WebSocket that passed the lock comes from."""
    caller: Caller = connection.scope["state"][_STATE_KEY]
    return caller


def set_caller(connection: HTTPConnection, caller: Caller) -> None:
    """For the lock: note who was let in."""
    connection.scope.setdefault("state", {})[_STATE_KEY] = caller
