"""Conversations that are not kept yet, and how they are kept: without others having to wait, and all or nothing."""

import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from components.chats.asker import Asker
from components.chats.file_format import ConversationEntry, MessageEntry
from components.chats.import_errors import ImportFileError, Place
from components.chats.room import check_room, make_room
from components.chats.titles import LONGEST_TITLE, title_of
from components.sampling.presets import Preset
from components.store.bulk import Rows, insert_rows, remove, show
from components.store.database import Database
from components.store.errors import ConflictError, FullError, StoreError
from components.store.presets import Presets
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id
from components.store.sizes import size_of

ROWS_AT_ONCE = 500
CHARACTERS_AT_ONCE = 500_000
"""Of messages in one transaction: a few hundredths of a second."""

PAUSE_SECONDS = 0.02
"""Between two transactions. Who waits for SQLite looks again and again, and would find it taken each time."""


@dataclass(frozen=True)
class Draft:
    """A conversation that is not kept yet; its messages with their token ids, parents first."""

    conversation: Conversation
    messages: Sequence[tuple[Message, Sequence[int]]]


def draft_of(place: Place, entry: ConversationEntry) -> Draft:
    """What a file says of a conversation, with ids of its own.

    Raises:
        ImportFileError: its messages are no tree.
    """
    conversation = new_conversation_id()
    now = time.time()
    made: dict[int, Message] = {}
    messages: list[tuple[Message, Sequence[int]]] = []
    for number, one in enumerate(entry.messages):
        where = place.at("messages", number)
        if one.id in made:
            raise ImportFileError("same_id", where.at("id"))
        if one.parent is not None and one.parent not in made:
            raise ImportFileError("no_parent", where.at("parent"))
        parent = made[one.parent] if one.parent is not None else None
        made[one.id] = message = Message(
            new_message_id(),
            conversation,
            parent.id if parent else None,
            parent.depth + 1 if parent else 0,
            one.role,
            one.text,
            one.created if one.created is not None else now,
            one.place,
            one.rating,
            one.note,
            _reply(one),
        )
        tokens = array("I", one.reply.tokens) if one.reply and message.reply else ()  # a list takes ten times as much
        messages.append((message, tokens))
    shown = made.get(entry.shown) if entry.shown is not None else None
    leaf = shown or (messages[-1][0] if messages else None)
    question = next((message.text for message, _ in messages if message.role == "user"), "")
    created = entry.created if entry.created is not None else now
    draft = Conversation(
        conversation,
        "",
        entry.title[:LONGEST_TITLE] or title_of(question),
        entry.pinned,
        entry.system,
        entry.sampling,
        leaf.id if leaf else None,
        created,
        entry.changed if entry.changed is not None else created,
    )
    return Draft(draft, messages)


def keep(database: Database, asker: Asker, drafts: Sequence[Draft], presets: Sequence[Preset] = ()) -> None:
    """Keep conversations and presets as this reader's own: all of it, or nothing.

    They are written in many short transactions, since others wait for each to end, and are seen with the last one.

    Raises:
        FullError: it would be more than one may keep.
        StoreError: the database cannot be written at present.
        ConflictError: what was to be written contradicts what is there.
    """
    make_room(database, asker, sum(size_of(draft.conversation, draft.messages) for draft in drafts))
    ids = [draft.conversation.id for draft in drafts]
    try:
        for rows in _rows(drafts, asker.reader):
            with database.writing() as connection:
                insert_rows(connection, rows)
            time.sleep(PAUSE_SECONDS)
        with database.writing() as connection:
            if presets:
                Presets(connection, asker.reader).bring_in(presets)
            show(connection, ids)
            check_room(connection, asker)
    except (StoreError, ConflictError, FullError):
        _take_back(database, ids)
        raise


def _rows(drafts: Sequence[Draft], reader: str) -> Iterator[Rows]:
    """The rows of all of them, a transaction's at a time."""
    rows, characters = Rows(), 0
    for draft in drafts:
        rows.add_conversation(draft.conversation, reader)
        for message, tokens in draft.messages:
            rows.add_message(message, tokens)
            characters += len(message.text) + len(tokens)
            if len(rows.messages) + len(rows.conversations) >= ROWS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
                yield rows
                rows, characters = Rows(), 0
    if rows.conversations or rows.messages:
        yield rows


def _take_back(database: Database, ids: Sequence[str]) -> None:
    try:
        with database.writing() as connection:
            remove(connection, ids)
    except StoreError:
        return  # the failure that led here is told, and what there is nobody sees


def _reply(entry: MessageEntry) -> Reply | None:
    """How the model wrote it. One that was written when the file was made is cut: nobody writes it on."""
    if entry.role != "assistant":
        return None
    if entry.reply is None:
        return Reply("stop")
    reply = Reply(**entry.reply.model_dump(exclude={"tokens"}))
    return reply if reply.end is not None else replace(reply, end="cut")
