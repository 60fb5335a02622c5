"""Conversations as files: a branch as Markdown for people, whole trees as JSON to keep and to bring back."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, cast

from sqlalchemy import Connection

from components.chats.chat import Chat
from components.chats.file_format import FORMAT, VERSION, ConversationEntry, MessageEntry, ReplyEntry
from components.chats.titles import title_for_others
from components.sampling.presets import Preset, entry_of
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.messages import Messages
from components.store.presets import Presets
from components.store.rows import Conversation, Message

MOST_LISTED = 1_000_000

MOST_NAME_BYTES = 200
"""Of a file's name without its ending. Systems take 255 in all."""

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\ufffd]')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?=\.|$)", re.IGNORECASE)
"""Names that mean a device to Windows, whatever their ending."""

_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<rest>.*)")
_HEADINGS = {"user": "User", "assistant": "Assistant"}


def markdown_of(conversation: Conversation, branch: Sequence[Message]) -> Iterator[str]:
    """A branch as Markdown, piece by piece: the title, then each message below its role."""
    date = datetime.fromtimestamp(conversation.created, UTC)
    yield f"# {_one_line(conversation.title) or 'Conversation'}\n\n{date:%Y-%m-%d %H:%M} UTC\n"
    if conversation.system:
        yield f"\n## System\n\n{_closed(conversation.system)}\n"
    for message in branch:
        yield f"\n## {_HEADINGS[message.role]}\n\n{_closed(message.text)}\n"
        if message.reply is not None and message.reply.model:
            yield f"\n*{_one_line(message.reply.model)}*\n"


def json_of(entries: Iterable[ConversationEntry], presets: Sequence[Preset] = ()) -> Iterator[str]:
    """Conversations and presets as one JSON file (``file_format``), a conversation at a time."""
    return file_of(map(text_of, entries), presets)


def text_of(entry: ConversationEntry) -> str:
    """A conversation as it stands in the file."""
    return entry.model_dump_json(exclude_defaults=True, warnings=False)


def file_of(entries: Iterable[str], presets: Sequence[Preset] = ()) -> Iterator[str]:
    """The file, given the text of each conversation."""
    yield f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION}, '
    if presets:
        yield f'"presets": {json.dumps([entry_of(preset) for preset in presets], ensure_ascii=False)}, '
    yield '"conversations": ['
    separator = "\n"
    for entry in entries:
        yield separator + entry
        separator = ",\n"
    yield "\n]}\n"


def read_entry(connection: Connection, reader: str, conversation: str) -> ConversationEntry:
    """One's own conversation, the whole tree. What is kept is not checked again: it is to be had whatever it is.

    Raises:
        NotFoundError: there is none with this id, or it is somebody else's.
    """
    found = Conversations(connection, reader).get(conversation)
    messages = Messages(connection, conversation)
    tree = _in_order(messages.all())
    tokens = messages.all_tokens()
    numbers = {message.id: number for number, message in enumerate(tree, 1)}
    return ConversationEntry.model_construct(
        title=found.title,
        pinned=found.pinned,
        system=found.system,
        sampling=found.sampling,
        created=found.created,
        changed=found.changed,
        shown=numbers.get(found.leaf) if found.leaf is not None else None,
        messages=[
            MessageEntry.model_construct(
                id=numbers[message.id],
                parent=numbers[message.parent] if message.parent is not None else None,
                role=message.role,
                text=message.text,
                created=message.created,
                place=message.place,
                rating=cast("Literal[-1, 0, 1]", message.rating),
                note=message.note,
                reply=_reply_of(message, tokens.get(message.id, ())),
            )
            for message in tree
        ],
    )


def read_everything(database: Database, reader: str) -> Iterator[ConversationEntry]:
    """All that a reader has, one conversation at a time; what they threw away is not among it.

    Each is read in a transaction of its own: whoever downloads slowly must not hold a connection meanwhile.

    Raises:
        StoreError: the database cannot be read at present.
    """
    with database.reading() as connection:
        ids = [one.id for one in Conversations(connection, reader).list(MOST_LISTED)]
    for conversation in ids:
        try:
            with database.reading() as connection:
                entry = read_entry(connection, reader, conversation)
        except NotFoundError:
            continue  # deleted meanwhile
        yield entry


def read_own_presets(database: Database, reader: str) -> Sequence[Preset]:
    """The presets that a reader keeps.

    Raises:
        StoreError: the database cannot be read at present.
    """
    with database.reading() as connection:
        return [kept.preset for kept in Presets(connection, reader).list()]


def file_name(title: str, ending: str) -> str:
    """A name for a file that every system takes, and in which nothing is hidden.

    What some system takes for something else is a space, and so is what turns the direction of writing around.
    """
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in title)
    name = " ".join(_NOT_IN_NAMES.sub(" ", visible).split())
    name = name.encode()[:MOST_NAME_BYTES].decode(errors="ignore").strip(" .")
    if _DEVICES.match(name):
        name = f"_{name}"
    return f"{name or 'conversation'}.{ending}"


def export_markdown(chat: Chat) -> str:
    """The branch that is shown, with what is written at this moment.

    Raises:
        NotFoundError: the conversation is gone, or not kept yet.
        StoreError: it cannot be read at present.
    """
    with chat.replies.database.reading() as connection:
        conversation = Conversations(connection, chat.asker.reader).get(chat.conversation.id)
        messages = Messages(connection, conversation.id)
        branch = messages.branch(chat.last.id if chat.last else None, None)
        conversation = replace(conversation, title=title_for_others(conversation, branch, messages))
    return "".join(markdown_of(conversation, [chat.replies.here(message) for message in branch]))


def export_json(chat: Chat) -> str:
    """The conversation's whole tree, as it is kept.

    Raises:
        NotFoundError: the conversation is gone, or not kept yet.
        StoreError: it cannot be read at present.
    """
    with chat.replies.database.reading() as connection:
        entry = read_entry(connection, chat.asker.reader, chat.conversation.id)
    return "".join(json_of([entry]))


def _reply_of(message: Message, tokens: Sequence[int]) -> ReplyEntry | None:
    if message.reply is None:
        return None
    kept = {name: getattr(message.reply, name) for name in ReplyEntry.model_fields if name != "tokens"}
    return ReplyEntry.model_construct(**kept, tokens=list(tokens))


def _in_order(tree: Sequence[Message]) -> Sequence[Message]:
    """The oldest first, as far as clocks agree: those that were written last are the newest again after an import."""
    by_age = sorted(tree, key=lambda message: message.id)
    seen: set[int | None] = {None}
    for message in by_age:
        if message.parent not in seen:
            return tree  # parents first
        seen.add(message.id)
    return by_age


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _closed(text: str) -> str:
    """``text`` with an end to its last code block, if a reply was cut within it: what follows is no code."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if found is None:
            continue
        if not fence:
            if found["fence"][0] == "~" or "`" not in found["rest"]:
                fence = found["fence"]
        elif found["fence"].startswith(fence) and not found["rest"].strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text
