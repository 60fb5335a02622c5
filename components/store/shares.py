"""Branches that readers share: a copy of what was said, which anybody may read who has the address."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, insert, select

from components.store.conversations import Conversations
from components.store.errors import NotFoundError
from components.store.links import new_share_id, unexpired, withdraw
from components.store.rows import Message, Role
from components.store.schema import conversations, shares

_LINE = [shares.c[column] for column in ("id", "conversation", "title", "created", "expires")]
_WHOLE = [*_LINE, shares.c.content]


@dataclass(frozen=True)
class SharedMessage:
    """What others see of a message: nothing of whose it was. ``model`` and ``end`` are those of a reply."""

    role: Role
    text: str
    model: str = ""
    end: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShareEntry:
    """A line in the list of what one shares.

    Attributes:
        conversation: whose branch it is; with its conversation it goes.
        expires: when it goes by itself, in seconds since 1970; None: never.
    """

    id: str = field(default_factory=new_share_id)
    conversation: str
    title: str
    created: float = field(default_factory=time.time)
    expires: float | None = None


@dataclass(frozen=True, kw_only=True)
class Share(ShareEntry):
    """A branch as it was when it was shared."""

    content: Sequence[SharedMessage]

    @property
    def characters(self) -> int:
        """How much it holds."""
        return len(self.title) + sum(len(message.text) + len(message.model) for message in self.content)


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
        self._connection.execute(
            insert(shares).values(asdict(share) | {"reader": self._reader, "characters": share.characters})
        )

    def get(self, share: str) -> Share:
        """One that anybody shared.

        Raises:
            NotFoundError: there is none, it has expired, or its conversation was thrown away.
        """
        row = self._connection.execute(_present(*_WHOLE).where(shares.c.id == share)).one_or_none()
        if row is None:
            raise NotFoundError(share)
        return _share(row)

    def list(self) -> Sequence[ShareEntry]:
        """What this reader shares at present, the last one first."""
        rows = self._connection.execute(self._own(*_LINE))
        return [ShareEntry(**row._mapping) for row in rows]

    def whole(self) -> Iterator[Share]:
        """The same with what is said in it, one at a time."""
        yield from _one_by_one(self._connection, self._own(*_WHOLE))

    def withdraw(self, share: str) -> None:
        """Share it no longer.

        Raises:
            NotFoundError: there is no such share, or it is somebody else's.
        """
        withdraw(self._connection, shares, self._reader, share)

    def _own(self, *columns: Column[Any]) -> Select[Any]:
        own = _present(*columns).where(shares.c.reader == self._reader)
        return own.order_by(shares.c.created.desc(), shares.c.id)


def all_present(connection: Connection) -> Iterator[Share]:
    """What all readers share at present, the oldest first."""
    yield from _one_by_one(connection, _present(*_WHOLE).order_by(shares.c.created, shares.c.id))


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


def _present(*columns: Column[Any]) -> Select[Any]:
    return (
        select(*columns)
        .join(conversations, conversations.c.id == shares.c.conversation)
        .where(unexpired(shares), conversations.c.deleted.is_(None))
    )


def _one_by_one(connection: Connection, query: Select[Any]) -> Iterator[Share]:
    """Never all in memory: each may be as large as all that a reader keeps."""
    yield from map(_share, connection.execute(query, execution_options={"yield_per": 1}))


def _share(row: Row[Any]) -> Share:
    return Share(**{**row._mapping, "content": [SharedMessage(**message) for message in row.content]})
