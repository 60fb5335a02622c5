"""What the store gives back and takes."""

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "assistant"]

Place = Literal["usual", "pinned", "left_out"]
"""Whether the model sees a message: as far as there is room, always, or never."""


def new_conversation_id() -> str:
    """An id that nobody can guess: it stands in addresses."""
    return secrets.token_urlsafe(16)


_last_id = 0
_id_lock = threading.Lock()


_CHANCE_BITS = 21


def new_message_id(*before: int | None) -> int:
    """An id that is larger than those ``before`` it: of the message that it follows, and of those beside it.

    42 bits are milliseconds since 1970, 21 bits chance. So a message has its id before the database has it, and
    several processes need not agree. A clock that is set back, or that of another server that goes behind, counts as
    standing still. What chance adds even then keeps two servers from giving the same id.
    """
    global _last_id
    least = max((one for one in before if one is not None), default=0)
    with _id_lock:
        clock = max(time.time_ns() // 1_000_000, (least >> _CHANCE_BITS) + 1)
        _last_id = max(_last_id + 1, clock << _CHANCE_BITS | secrets.randbits(_CHANCE_BITS))
        return _last_id


@dataclass(frozen=True)
class Conversation:
    """A conversation without its messages.

    Attributes:
        reader: whose it is.
        system: what the model is told beforehand.
        sampling: what the sliders showed.
        leaf: the last message of the branch that is shown.
        created: seconds since 1970, as all times here.
        deleted: when it was thrown away; None while it was not.
    """

    id: str
    reader: str
    title: str = ""
    pinned: bool = False
    system: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)
    leaf: int | None = None
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    deleted: float | None = None


@dataclass(frozen=True)
class Reply:
    """How a reply was written.

    Attributes:
        end: how it ended; None while it is written.
        error_kind: of what kind of error it ended, for the page's own words; empty without one.
        error: the error's text.
        sampling: the parameters, with the seed.
        weights: SHA-256 over the weights, or why it is not known.
        record: the rest of the receipt.
        writer: the process that writes it, or did.
        stop_wanted: whether somebody wants it to stop.
    """

    end: str | None = None
    error_kind: str = ""
    error: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    weights: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    first_token_seconds: float | None = None
    record: dict[str, Any] = field(default_factory=dict)
    writer: str = ""
    stop_wanted: bool = False


@dataclass(frozen=True)
class Message:
    """A message of a tree.

    Attributes:
        parent: the message that it follows; None at the beginning.
        depth: how many messages stand before it.
        rating: 1 for a thumb up, -1 for one down, 0 for none; ``note`` says why.
        reply: how it was written, where the model wrote it.
    """

    id: int
    conversation: str
    parent: int | None
    depth: int
    role: Role
    text: str
    created: float = field(default_factory=time.time)
    place: Place = "usual"
    rating: int = 0
    note: str = ""
    reply: Reply | None = None


@dataclass(frozen=True)
class ProcessRow:
    """A process that writes replies.

    Attributes:
        host: the operating system that it runs under.
        pid: its number there.
        started: when it was begun by that system's account, since another process gets the same number later.
        seen: when it was last known to live, by the database's clock.
    """

    id: str
    host: str
    pid: int
    started: float
    seen: float
