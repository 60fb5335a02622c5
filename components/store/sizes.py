"""How much a conversation takes: everything that its reader can fill, in characters, bytes or so.

Twice, because what is to be kept is counted before the database has it; a test compares both.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, LargeBinary, Text, cast, func, select

from components.store.rows import Conversation, Message
from components.store.schema import KeptJSON, conversations, messages, replies
from components.store.texts import finite, fold

ROW_CHARACTERS = 100
"""What a conversation, a message or a reply takes besides, though it be empty."""

_MOST_BYTES = 4
"""Of a character. What is searched may be far longer than the text that it comes from: one character can stand for
eighteen. How long it is at least can be told fast."""

_REPLY_TEXTS = (replies.c.error, replies.c.model, replies.c.weights)
_REPLY_JSON = (replies.c.sampling, replies.c.record)


def size_of(conversation: Conversation, written: Iterable[tuple[Message, Sequence[int]]]) -> int:
    """Of one that is not kept yet, with its messages and their token ids."""
    own = ROW_CHARACTERS + len(conversation.title) + len(conversation.system) + _json(conversation.sampling)
    return own + sum(_message_size(message, tokens) for message, tokens in written)


def kept_size(connection: Connection, reader: str) -> int:
    """Of all conversations that a reader has, those in the bin included."""
    own = conversations.c.reader == reader
    text = _length(conversations.c.title) + _length(conversations.c.system)
    beside = select(_sum(ROW_CHARACTERS + text + _bytes(connection, conversations.c.sampling))).where(own)
    longer = func.max if connection.dialect.name == "sqlite" else func.greatest
    folded = _bytes(connection, messages.c.folded) // _MOST_BYTES
    said = ROW_CHARACTERS + longer(_length(messages.c.text), folded) + _length(messages.c.note)
    asked = select(_sum(said)).join(conversations, conversations.c.id == messages.c.conversation).where(own)
    written: ColumnElement[int] = ROW_CHARACTERS + _bytes(connection, replies.c.tokens)
    for column in _REPLY_TEXTS:
        written += _length(column)
    for column in _REPLY_JSON:
        written += _bytes(connection, column)
    replied = (
        select(_sum(written))
        .join(messages, messages.c.id == replies.c.message)
        .join(conversations, conversations.c.id == messages.c.conversation)
        .where(own)
    )
    return sum(int(connection.scalar(query) or 0) for query in (beside, asked, replied))


def _message_size(message: Message, tokens: Sequence[int]) -> int:
    size = ROW_CHARACTERS + max(len(message.text), len(fold(message.text).encode()) // _MOST_BYTES) + len(message.note)
    if (reply := message.reply) is not None:
        written = asdict(reply)
        size += ROW_CHARACTERS + 4 * len(tokens)
        size += sum(len(written[column.name]) for column in _REPLY_TEXTS)
        size += sum(_json(written[column.name]) for column in _REPLY_JSON)
    return size


def _json(value: Any) -> int:
    return len(json.dumps(finite(value)))


def _sum(size: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(size)


def _length(column: ColumnElement[Any]) -> ColumnElement[int]:
    return func.length(column, type_=Integer)


def _bytes(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[int]:
    """Which is told without reading all of the value; of JSON, which is written in ASCII, they are its characters."""
    if connection.dialect.name == "sqlite":
        return func.length(cast(column, LargeBinary), type_=Integer)
    is_json = isinstance(column.type, KeptJSON)
    return func.octet_length(cast(column, Text) if is_json else column, type_=Integer)
