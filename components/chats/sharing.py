"""What a reader shares: a branch as it is now, for whoever has its address."""

import time
from collections.abc import Iterator, Sequence
from typing import Literal

from components.chats.chat import Chat
from components.chats.drafts import Draft
from components.chats.room import check_room, make_room
from components.chats.titles import title_for_others
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id
from components.store.shares import Share, ShareEntry, Shares, snapshot

MOST_SHARES = 100
"""Of one reader at a time. Each is a copy of its own."""

SETTLE_SECONDS = 5.0
"""So long a share waits for what was written last to be kept."""

Expiry = Literal["day", "week", "never"]

EXPIRY_SECONDS: dict[Expiry, float | None] = {"day": 24 * 3600.0, "week": 7 * 24 * 3600.0, "never": None}


class NotKeptError(Exception):
    """What is to be shared is not kept yet; trying again in a moment may help."""


class TooManySharesError(Exception):
    """A reader shares as much as they may."""


def share(chat: Chat, expiry: Expiry) -> Share:
    """Share the whole branch that ``chat`` shows. What is said later, and edited, does not get into it.

    Raises:
        NotKeptError: the conversation is new, or the store takes what was written last no sooner.
        NotFoundError: the conversation is gone.
        TooManySharesError: others must be withdrawn first.
        FullError: with this copy, it would be more than the reader may keep.
        StoreError: the store cannot be written at present.
    """
    if chat.is_new or not chat.replies.keeper.settle(SETTLE_SECONDS):
        raise NotKeptError
    seconds = EXPIRY_SECONDS[expiry]
    expires = None if seconds is None else time.time() + seconds
    database, asker = chat.replies.database, chat.asker
    with database.reading() as connection:
        conversation = Conversations(connection, asker.reader).get(chat.conversation.id)
        messages = Messages(connection, conversation.id)
        branch = messages.branch(chat.last.id if chat.last else None, None)
        title = title_for_others(conversation, branch, messages)
    content = snapshot([chat.replies.here(message) for message in branch])
    shared = Share(conversation=conversation.id, title=title, content=content, expires=expires)
    make_room(database, asker, shared.characters)
    with database.writing() as connection:
        shares = Shares(connection, asker.reader)
        if len(shares.list()) >= MOST_SHARES:
            raise TooManySharesError
        check_room(connection, asker, shared.characters)
        shares.add(shared)
    return shared


def shared_by(chat: Chat) -> Sequence[ShareEntry]:
    """What this reader shares at present.

    Raises:
        StoreError: the store cannot be read at present.
    """
    with chat.replies.database.reading() as connection:
        return Shares(connection, chat.asker.reader).list()


def whole_shares_of(chat: Chat) -> Iterator[Share]:
    """The same with what is said in it, one at a time.

    Raises:
        StoreError: the store cannot be read at present.
    """
    with chat.replies.database.reading() as connection:
        yield from Shares(connection, chat.asker.reader).whole()


def shared_as(database: Database, shared: str) -> Share:
    """What anybody shared under this id.

    Raises:
        NotFoundError: there is none, or it has ended.
        StoreError: the store cannot be read at present.
    """
    with database.reading() as connection:
        return Shares(connection, "").get(shared)


def withdraw(chat: Chat, shared: str) -> None:
    """Share it no longer.

    Raises:
        NotFoundError: there is no such share, or it is somebody else's.
        StoreError: the store cannot be written at present.
    """
    with chat.replies.database.writing() as connection:
        Shares(connection, chat.asker.reader).withdraw(shared)


def copy_of(shared: Share) -> Draft:
    """A conversation that goes on from what somebody shared."""
    conversation = new_conversation_id()
    messages: list[Message] = []
    for depth, said in enumerate(shared.content):
        parent = messages[-1].id if messages else None
        reply = Reply(said.end or "cut", model=said.model) if said.role == "assistant" else None
        messages.append(Message(new_message_id(), conversation, parent, depth, said.role, said.text, reply=reply))
    leaf = messages[-1].id if messages else None
    return Draft(Conversation(conversation, "", shared.title, leaf=leaf), [(message, ()) for message in messages])
