"""The conversations of readers: listing, searching, changing, deleting. One class over a connection."""

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from components.store.errors import NotFoundError
from components.store.links import unexpired
from components.store.rows import Conversation
from components.store.schema import conversations as table
from components.store.schema import insert_new, messages, shares
from components.store.sizes import kept_size
from components.store.texts import fold

EXCERPT_CHARACTERS = 90

UNFINISHED_SECONDS = 24 * 3600.0
"""So long after it was begun an import that is not finished never will be: its server was killed."""

_IN_BIN = table.c.deleted > 0
"""Thrown away; a negative time means that it is not finished (``bulk``)."""

MOST_WORDS = 32
"""What is searched for has as many different words; of a longer text the first ones count."""


@dataclass(frozen=True)
class Found:
    """A conversation in which words were found: in this message, or in the title when there is none."""

    conversation: Conversation
    message: int | None
    excerpt: str


class Conversations:
    """What one reader has. Nothing here gives or changes what is another reader's."""

    def __init__(self, connection: Connection, reader: str) -> None:
        self._connection = connection
        self._reader = reader

    def get(self, conversation: str) -> Conversation:
        """One that is not deleted.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        return self._get(conversation, table.c.deleted.is_(None))

    def list(self, limit: int, offset: int = 0) -> Sequence[Conversation]:
        """The pinned ones first, then those that changed last."""
        query = (
            select(table)
            .where(self._is_own(), table.c.deleted.is_(None))
            .order_by(table.c.pinned.desc(), table.c.changed.desc(), table.c.id)
            .limit(limit)
            .offset(offset)
        )
        return [Conversation(**row._mapping) for row in self._connection.execute(query)]

    def deleted(self) -> Sequence[Conversation]:
        """Those that were thrown away and can still be had back, the last one first."""
        query = select(table).where(self._is_own(), _IN_BIN).order_by(table.c.deleted.desc()).limit(100)
        return [Conversation(**row._mapping) for row in self._connection.execute(query)]

    def search(self, words: str, limit: int) -> Sequence[Found]:
        """Those with every one of ``words`` in one message or in the title, the last changed first.

        A part of a word is found, whatever its case and width: there is no index of words, which Chinese does not
        separate. What one reader has is little enough to be looked through.
        """
        wanted = list(dict.fromkeys(fold(words).split()))[:MOST_WORDS]
        if not wanted:
            return []
        # Not LIKE, which knows wildcards, and in SQLite patterns of 50,000 bytes at the most.
        place = func.instr if self._connection.dialect.name == "sqlite" else func.strpos
        in_message = and_(*(place(messages.c.folded, word) > 0 for word in wanted))
        own = and_(self._is_own(), table.c.deleted.is_(None))
        # Grouped, and not looked up for each conversation: for that PostgreSQL goes through everybody's messages.
        hits = (
            select(messages.c.conversation, func.max(messages.c.id).label("hit"))
            .join(table, table.c.id == messages.c.conversation)
            .where(own, in_message)
            .group_by(messages.c.conversation)
            .subquery()
        )
        candidates = (
            select(table, hits.c.hit)
            .outerjoin(hits, hits.c.conversation == table.c.id)
            .where(own)
            .order_by(table.c.changed.desc(), table.c.id)
        )
        found: list[Found] = []
        for row in self._connection.execute(candidates):
            content = dict(row._mapping)
            message = content.pop("hit")
            conversation = Conversation(**content)
            if message is not None:
                text = self._connection.scalar(select(messages.c.text).where(messages.c.id == message)) or ""
                found.append(Found(conversation, message, excerpt(text, wanted)))
            elif all(word in fold(conversation.title) for word in wanted):
                found.append(Found(conversation, None, ""))
            if len(found) == limit:
                break
        return found

    def add(self, conversation: Conversation) -> None:
        """Keep a new one. One that is there already stays as it is, so trying again does no harm."""
        insert_new(self._connection, table, asdict(conversation) | {"reader": self._reader})

    def change(self, conversation: str, **values: Any) -> None:
        """Set columns of one's own conversation: title, pinned, system, sampling, leaf, changed.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        done = self._connection.execute(
            update(table).where(table.c.id == conversation, self._is_own()).values(**values)
        )
        if not done.rowcount:
            raise NotFoundError(conversation)

    def delete(self, conversation: str) -> None:
        """Throw it away; ``restore`` brings it back until ``purge``."""
        self.change(conversation, deleted=time.time())

    def restore(self, conversation: str) -> None:
        """Take it back from the bin, unless it is back already.

        Raises:
            NotFoundError: it is neither here nor there.
        """
        self._get(conversation, or_(_IN_BIN, table.c.deleted.is_(None)))
        self.change(conversation, deleted=None)

    def characters(self) -> int:
        """How much there is of this reader's, with the copies that are shared, the bin included."""
        shared = select(func.sum(shares.c.characters)).where(shares.c.reader == self._reader, unexpired(shares))
        return kept_size(self._connection, self._reader) + (self._connection.scalar(shared) or 0)

    def empty_bin(self) -> None:
        """Delete for good what this reader has thrown away."""
        self._connection.execute(delete(table).where(self._is_own(), _IN_BIN))

    def ids(self) -> Sequence[str]:
        """The ids of all, those that were thrown away among them."""
        return list(self._connection.scalars(select(table.c.id).where(self._is_own())))

    def delete_everything(self) -> int:
        """All that this reader has, for good, what was shared included; gives their number."""
        return self._connection.execute(delete(table).where(self._is_own())).rowcount

    def _is_own(self) -> ColumnElement[bool]:
        return table.c.reader == self._reader

    def _get(self, conversation: str, *conditions: ColumnElement[bool]) -> Conversation:
        query = select(table).where(table.c.id == conversation, self._is_own(), *conditions)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(conversation)
        return Conversation(**row._mapping)


def purge(connection: Connection, before: float) -> int:
    """Delete for good what was thrown away before that time, and what nobody finished; gives their number."""
    unfinished = table.c.deleted.between(UNFINISHED_SECONDS - time.time(), 0)
    old = and_(_IN_BIN, table.c.deleted < before)
    return connection.execute(delete(table).where(or_(old, unfinished))).rowcount


def excerpt(text: str, words: Sequence[str]) -> str:
    """The part of ``text`` around the first of ``words`` (folded), in one line."""
    line = " ".join(text.split())
    folded = fold(line)
    found = min((place for word in words if (place := folded.find(word)) >= 0), default=0)
    # Folding may change how long a text is: look for the place in ``line`` up to which it folds into what is before.
    place = bisect_right(range(len(line)), found, key=lambda end: len(fold(line[:end]))) - 1
    start = max(0, place - EXCERPT_CHARACTERS // 3)
    part = line[start : start + EXCERPT_CHARACTERS]
    return ("… " if start else "") + part + (" …" if start + EXCERPT_CHARACTERS < len(line) else "")
