"""Branches that readers share: a copy of what was said, which anybody may read who has the address."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from components.store.conversations import Conversations
from components.store.errors import NotFoundError
from components.store.links import unexpired, withdraw
from components.store.rows import Message, Role
from components.store.schema import conversations, shares


@dataclass(frozen=True)
class SharedMessage:
    """What others see of a message: nothing of whose it was. ``model`` and ``end`` are those of a reply."""

    role: Role
    text: str
    model: str = ""
    end: str | None = None


@dataclass(frozen=True)
class Share:
    """A branch as it was when it was shared.

    Attributes:
        conversation: whose branch it is; with its conversation it goes.
        expires: when it goes by itself, in seconds since 1970; None: never.
    """

    id: str
    conversation: str
    title: str
    content: Sequence[SharedMessage]
    created: float = field(default_factory=time.time)
    expires: float | None = None


class Shares:
    """What one reader shares, and what anybody may read of it."""

    def __init__(self, connection: Connection, reader: str) -> None:
        self._connection = connection
        self._reader = reader

    def add(self, share: Share) -> None:
        """Share a branch of one's own conversation.

        Raises:
            NotFoundError: there is no such conversation, or it is somebody else's.
        """
        Conversations(self._connection, self._reader).get(share.conversation)
        self._connection.execute(insert(shares).values(asdict(share) | {"reader": self._reader}))

    def get(self, share: str) -> Share:
        """One that anybody shared.

        Raises:
            NotFoundError: there is none, it has expired, or its conversation was thrown away.
        """
        row = self._connection.execute(_present().where(shares.c.id == share)).one_or_none()
        if row is None:
            raise NotFoundError(share)
        return _share(row)

    def list(self) -> Sequence[Share]:
        """What this reader shares at present, the last one first."""
        query = _present().where(shares.c.reader == self._reader)
        rows = self._connection.execute(query.order_by(shares.c.created.desc(), shares.c.id))
        return [_share(row) for row in rows]

    def withdraw(self, share: str) -> None:
        """Share it no longer.

        Raises:
            NotFoundError: there is no such share, or it is somebody else's.
        """
        withdraw(self._connection, shares, self._reader, share)


def all_present(connection: Connection) -> Iterator[Share]:
    """What all readers share at present, the oldest first."""
    for row in connection.execute(_present().order_by(shares.c.created, shares.c.id)):
        yield _share(row)


def snapshot(branch: Sequence[Message]) -> Sequence[SharedMessage]:
    """What others see of a branch."""
    return [
        SharedMessage(
            message.role,
            message.text,
            message.reply.model if message.reply else "",
            message.reply.end if message.reply else None,
        )
        for message in branch
    ]


def _present() -> Select[Any]:
    return (
        select(shares)
        .join(conversations, conversations.c.id == shares.c.conversation)
        .where(unexpired(shares), conversations.c.deleted.is_(None))
    )


def _share(row: Row[Any]) -> Share:
    content = [SharedMessage(**message) for message in row.content]
    return Share(row.id, row.conversation, row.title, content, row.created, row.expires)
