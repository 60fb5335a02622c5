"""The messages of conversations: a tree, whose branches are read from their end. One class over a connection.

A message is never overwritten: an edited question or another try is a sibling. Only a reply grows, while it is written
and when it is continued.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, true, update

from components.store.errors import ConflictError, NotFoundError
from components.store.rows import Message, Place, Reply
from components.store.schema import insert_new, messages, replies
from components.store.texts import fold

_REPLY_COLUMNS = [column for column in replies.c if column.name not in ("message", "tokens")]
_MESSAGE_COLUMNS = [column for column in messages.c if column.name != "folded"]


class Messages:
    """The messages of one conversation. Who may see it was decided before."""

    def __init__(self, connection: Connection, conversation: str) -> None:
        self._connection = connection
        self._conversation = conversation

    def get(self, message: int) -> Message:
        """One message.

        Raises:
            NotFoundError: this conversation has no such message.
        """
        row = self._connection.execute(_select().where(messages.c.id == message, self._is_here())).one_or_none()
        if row is None:
            raise NotFoundError(str(message))
        return _message(row)

    def branch(self, leaf: int | None, limit: int | None) -> Sequence[Message]:
        """The last ``limit`` messages of the branch that ends with ``leaf``, or all of them, the oldest first."""
        if leaf is None:
            return []
        return self._upward(leaf, lambda end: true() if limit is None else messages.c.depth > end - limit)

    def stretch(self, leaf: int, first: int, last: int) -> Sequence[Message]:
        """What the branch that ends with ``leaf`` has from the depth ``first`` to ``last``, the oldest first."""
        return self._upward(leaf, lambda _: messages.c.depth >= first, messages.c.depth.between(first, last))

    def end_through(self, message: int, leaf: int | None) -> int:
        """The end of a branch through ``message``: ``leaf`` if that is one, else the newest.

        Raises:
            NotFoundError: this conversation has no such message.
        """
        if leaf is not None:
            depth = self.get(message).depth
            if any(one.id == message for one in self.stretch(leaf, depth, depth)):
                return leaf
        return self.newest_below(message)

    def siblings(self, of: Iterable[Message]) -> Mapping[int, Sequence[int]]:
        """For each message all that follow the same one, itself included, the oldest first."""
        asked = list(of)
        parents = [message.parent for message in asked if message.parent is not None]
        condition: ColumnElement[bool] = messages.c.parent.in_(parents)
        if any(message.parent is None for message in asked):
            condition |= messages.c.parent.is_(None)
        query = select(messages.c.id, messages.c.parent).where(self._is_here(), condition).order_by(messages.c.id)
        children: defaultdict[int | None, list[int]] = defaultdict(list)
        for row in self._connection.execute(query):
            children[row.parent].append(row.id)
        return {message.id: children[message.parent] for message in asked}

    def newest_below(self, message: int) -> int:
        """The newest end of the branches through ``message``; itself where nothing follows it.

        Only ends count: whoever goes to the middle of a branch has no way to what follows there.
        """
        below = select(messages.c.id).where(messages.c.id == message, self._is_here()).cte("below", recursive=True)
        below = below.union_all(select(messages.c.id).join(below, messages.c.parent == below.c.id))
        follows = select(messages.c.id).where(messages.c.parent == below.c.id).exists()
        newest = self._connection.scalar(select(func.max(below.c.id)).where(~follows))
        if newest is None:
            raise NotFoundError(str(message))
        return int(newest)

    def all(self) -> Sequence[Message]:
        """The whole tree, parents before their children."""
        query = _select().where(self._is_here()).order_by(messages.c.depth, messages.c.id)
        return [_message(row) for row in self._connection.execute(query)]

    def questions(self) -> Sequence[str]:
        """The texts of all questions, on every branch."""
        query = select(messages.c.text).where(self._is_here(), messages.c.role == "user")
        return list(self._connection.scalars(query))

    def by_ids(self, ids: Iterable[int]) -> Sequence[Message]:
        """These messages, as far as they are here, the oldest first."""
        query = _select().where(messages.c.id.in_(list(ids)), self._is_here()).order_by(messages.c.depth)
        return [_message(row) for row in self._connection.execute(query)]

    def tokens(self, reply: int) -> Sequence[int]:
        """The token ids of a reply."""
        query = select(replies.c.tokens).join(messages, messages.c.id == replies.c.message)
        packed = self._connection.scalar(query.where(replies.c.message == reply, self._is_here()))
        return unpack(packed or b"")

    def all_tokens(self) -> Mapping[int, Sequence[int]]:
        """The token ids of every reply."""
        query = select(replies.c.message, replies.c.tokens).join(messages, messages.c.id == replies.c.message)
        return {row.message: unpack(row.tokens) for row in self._connection.execute(query.where(self._is_here()))}

    def add(self, message: Message, tokens: Sequence[int] = ()) -> bool:
        """Keep a new one; gives whether it was new. One that is there already stays as it is, as if not asked for.

        Raises:
            ConflictError: the message that it follows is not here.
        """
        content = {column.name: getattr(message, column.name) for column in _MESSAGE_COLUMNS}
        content |= {
            "conversation": self._conversation,
            "depth": self._depth_below(message.parent),
            "folded": fold(message.text),
        }
        is_new = insert_new(self._connection, messages, content)
        if is_new and message.reply is not None:
            reply = asdict(message.reply) | {"message": message.id, "tokens": pack(tokens)}
            insert_new(self._connection, replies, reply)
        return is_new

    def set_reply(self, message: int, text: str, tokens: Sequence[int], reply: Reply) -> None:
        """Keep what a reply is now, growing or ended. One that is gone, with its conversation, stays so."""
        texts = {"text": text, "folded": fold(text)}
        self._connection.execute(update(messages).where(messages.c.id == message, self._is_here()).values(texts))
        content = asdict(reply) | {"tokens": pack(tokens)}
        if reply.end is None:
            del content["stop_wanted"]  # it is others who set it
        self._update_reply(message, **content)

    def begin_again(self, message: int, reply: Reply) -> None:
        """Note that an ended reply is written on, in place."""
        self._update_reply(message, **asdict(reply))

    def want_stopped(self, reply: int) -> None:
        """Ask whichever process writes a reply to stop."""
        self._update_reply(reply, stop_wanted=True)

    def rate(self, message: int, rating: int, note: str) -> None:
        """Keep what somebody thinks of a message."""
        self._update(message, rating=rating, note=note)

    def put(self, message: int, place: Place) -> None:
        """Pin a message to what the model sees, leave it out, or neither."""
        self._update(message, place=place)

    def placed(self) -> Sequence[Message]:
        """Those that are pinned or left out, on any branch, the oldest first."""
        query = _select().where(self._is_here(), messages.c.place != "usual").order_by(messages.c.depth, messages.c.id)
        return [_message(row) for row in self._connection.execute(query)]

    def _upward(
        self,
        leaf: int,
        goes_on: Callable[[ColumnElement[int]], ColumnElement[bool]],
        shown: ColumnElement[bool] | None = None,
    ) -> Sequence[Message]:
        """What is ``shown`` of the branch that ends with ``leaf``, the oldest first.

        ``goes_on`` says of a message, given the depth of the leaf, whether the walk takes it in.
        """
        end = select(messages.c.id, messages.c.parent, messages.c.depth.label("end"))
        walk = end.where(messages.c.id == leaf, self._is_here()).cte("walk", recursive=True)
        before = select(messages.c.id, messages.c.parent, walk.c.end).join(walk, messages.c.id == walk.c.parent)
        walk = walk.union_all(before.where(goes_on(walk.c.end)))
        query = _select().join(walk, walk.c.id == messages.c.id).where(true() if shown is None else shown)
        return [_message(row) for row in self._connection.execute(query.order_by(messages.c.depth))]

    def _update(self, message: int, **values: Any) -> None:
        done = self._connection.execute(
            update(messages).where(messages.c.id == message, self._is_here()).values(**values)
        )
        if not done.rowcount:
            raise NotFoundError(str(message))

    def _update_reply(self, message: int, **values: Any) -> None:
        here = select(messages.c.id).where(messages.c.id == message, self._is_here())
        self._connection.execute(update(replies).where(replies.c.message.in_(here)).values(**values))

    def _depth_below(self, parent: int | None) -> int:
        if parent is None:
            return 0
        depth = self._connection.scalar(select(messages.c.depth).where(messages.c.id == parent, self._is_here()))
        if depth is None:
            raise ConflictError(f"The message {parent} is not in this conversation, so nothing can follow it.")
        return int(depth) + 1

    def _is_here(self) -> ColumnElement[bool]:
        return messages.c.conversation == self._conversation


def stops_wanted(connection: Connection, writer: str) -> Sequence[int]:
    """Which of the replies that a process writes somebody wants stopped."""
    query = select(replies.c.message).where(
        replies.c.end.is_(None), replies.c.writer == writer, replies.c.stop_wanted.is_(True)
    )
    return connection.execute(query).scalars().all()


def pack(tokens: Sequence[int]) -> bytes:
    """Token ids, four bytes each, little-endian."""
    return struct.pack(f"<{len(tokens)}I", *tokens)


def unpack(packed: bytes) -> Sequence[int]:
    """What ``pack`` packed."""
    return struct.unpack(f"<{len(packed) // 4}I", packed)


def _select() -> Any:
    return select(*_MESSAGE_COLUMNS, *(column.label(f"reply_{column.name}") for column in _REPLY_COLUMNS)).outerjoin(
        replies, replies.c.message == messages.c.id
    )


def _message(row: Row[Any]) -> Message:
    content = dict(row._mapping)
    reply = {column.name: content.pop(f"reply_{column.name}") for column in _REPLY_COLUMNS}
    return Message(**content, reply=Reply(**reply) if reply["writer"] is not None else None)
