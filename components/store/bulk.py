"""Whole conversations written at once: many rows a statement, and seen by nobody until all of them are there.

Others wait while a transaction writes, so what is large comes in several. Until the last one the conversations are
marked as unfinished, by a negative time in ``deleted``: they are neither listed nor in the bin, and should the server
be killed in between, what there is of them is purged.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from components.store.errors import ConflictError
from components.store.messages import pack
from components.store.rows import Conversation, Message
from components.store.schema import conversations, messages, replies
from components.store.texts import fold

IDS_AT_ONCE = 500
"""SQLite takes a bounded number of values in a statement."""


@dataclass(frozen=True)
class Rows:
    """Rows to insert. They are made before the transaction, since folding texts takes longer than writing them."""

    conversations: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)

    def add_conversation(self, conversation: Conversation, reader: str) -> None:
        """One that nobody sees yet."""
        self.conversations.append(asdict(conversation) | {"reader": reader, "deleted": -time.time()})

    def add_message(self, message: Message, tokens: Sequence[int]) -> None:
        """One whose conversation and whose parent were added before, here or in rows that are kept already."""
        content = asdict(message) | {"folded": fold(message.text)}
        reply: dict[str, Any] | None = content.pop("reply")
        self.messages.append(content)
        if reply is not None:
            self.replies.append(reply | {"message": message.id, "tokens": pack(tokens)})


def insert_rows(connection: Connection, rows: Rows) -> None:
    """Write them; see ``show``.

    Raises:
        ConflictError: what they belong to is gone.
    """
    for table, content in ((conversations, rows.conversations), (messages, rows.messages), (replies, rows.replies)):
        if content:
            connection.execute(insert(table), content)


def show(connection: Connection, ids: Sequence[str]) -> None:
    """Have their reader see conversations all of whose rows are there.

    Raises:
        ConflictError: one of them is gone: somebody deleted everything.
    """
    shown = sum(
        connection.execute(
            update(conversations).where(conversations.c.id.in_(some), conversations.c.deleted < 0).values(deleted=None)
        ).rowcount
        for some in _parts(ids)
    )
    if shown < len(ids):
        raise ConflictError("What was brought in was deleted meanwhile.")


def remove(connection: Connection, ids: Sequence[str]) -> None:
    """Delete conversations for good, without the bin."""
    for some in _parts(ids):
        connection.execute(delete(conversations).where(conversations.c.id.in_(some)))


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
