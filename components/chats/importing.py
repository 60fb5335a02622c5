"""Conversations from files: this application's own, training sets', and ChatGPT's. What cannot be meant is refused.

A file is bounded before it is read, by its size and by how many values it can hold at most, so that it cannot fill the
memory; and nothing is kept of a file that is wrong anywhere.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from components.chats.asker import Asker
from components.chats.file_format import (
    FORMAT,
    MOST_CONVERSATIONS,
    MOST_MESSAGES,
    VERSION,
    ConversationEntry,
    MessageEntry,
)
from components.chats.foreign_formats import read_chatgpt, read_sharegpt, read_training
from components.chats.import_errors import ImportFileError, at
from components.chats.room import make_room
from components.chats.titles import LONGEST_TITLE, title_of
from components.sampling.presets import MOST_OF_A_FILE, Preset, PresetError, check_entry
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import ConflictError, FullError, StoreError
from components.store.messages import Messages
from components.store.presets import Presets
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id
from components.store.sizes import size_of

MOST_CONTAINERS = 1_000_000
"""Brackets that open an object or a list. Each may take some 200 bytes of memory where the file has two."""

_WHAT_IS_TAKEN = (
    "It is no file of conversations that is known here. Take a JSON file that was downloaded here, ChatGPT's "
    'conversations.json, or JSON or JSONL like {"messages": [{"role": "user", "content": "…"}]}.'
)


@dataclass(frozen=True)
class Draft:
    """A conversation that is not kept yet; its messages with their token ids, parents first."""

    conversation: Conversation
    messages: Sequence[tuple[Message, Sequence[int]]]


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    drafts: Sequence[Draft]
    presets: Sequence[Preset] = ()


def read_file(data: bytes) -> Contents:
    """What a file holds: conversations, with ids of their own whatever the file said, and presets.

    Raises:
        ImportFileError: it holds something else; the text names the place.
    """
    if data.count(b"[") + data.count(b"{") > MOST_CONTAINERS:
        raise ImportFileError("It holds more lists and objects than conversations need. Divide it into several files.")
    drafts: list[Draft] = []
    presets: list[Preset] = []
    for place, value in _values(data):
        if isinstance(value, dict) and value.get("format") == FORMAT:
            presets += _presets(place, value.get("presets", []))
        for where, entry in _entries(place, value):
            if len(drafts) == MOST_CONVERSATIONS:
                raise ImportFileError(f"It holds more than {MOST_CONVERSATIONS} conversations. Divide it.")
            drafts.append(_draft(where, entry))
    if not presets and not any(draft.messages for draft in drafts):
        raise ImportFileError("There is no message in it.")
    return Contents([draft for draft in drafts if draft.messages], presets)


def keep(database: Database, asker: Asker, drafts: Sequence[Draft], presets: Sequence[Preset] = ()) -> None:
    """Keep what a file holds as this reader's own: all of it, or nothing.

    Each conversation is written in a transaction of its own, since others wait for it to end.

    Raises:
        FullError: it would be more than one may keep.
        StoreError: the database cannot be written at present.
        ConflictError: what was to be written contradicts what is there.
    """
    make_room(database, asker, sum(size_of(draft.conversation, draft.messages) for draft in drafts))
    kept: list[str] = []
    try:
        for draft in drafts:
            with database.writing() as connection:
                Conversations(connection, asker.reader).add(draft.conversation)
                messages = Messages(connection, draft.conversation.id)
                for message, tokens in draft.messages:
                    messages.add(message, tokens)
            kept.append(draft.conversation.id)
        if presets:
            with database.writing() as connection:
                Presets(connection, asker.reader).bring_in(presets)
    except (StoreError, ConflictError, FullError):
        _take_back(database, asker.reader, kept)
        raise


def _take_back(database: Database, reader: str, kept: Sequence[str]) -> None:
    try:
        with database.writing() as connection:
            for conversation in kept:
                Conversations(connection, reader).delete(conversation)
    except StoreError:
        return  # the failure that led here is told


def _values(data: bytes) -> Iterator[tuple[str, Any]]:
    """The JSON value of a file, or those of its lines, each with its place."""
    text = _text(data)
    try:
        yield "", _json(text)
    except json.JSONDecodeError as error:
        if not (error.msg == "Extra data" and text.lstrip().startswith("{")):
            raise ImportFileError(
                f"It is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
            ) from None
    else:
        return
    for number, line in enumerate(re.split(r"\r\n|[\r\n]", text), 1):  # not splitlines: texts hold other line ends
        if line.strip():
            try:
                yield f"line {number}", _json(line)
            except json.JSONDecodeError as error:
                raise ImportFileError(f"line {number}: it is not JSON: {error.msg} in column {error.colno}.") from None


def _text(data: bytes) -> str:
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ImportFileError(f"It is not {encoding.upper()} (byte {error.start + 1}). Save it as UTF-8.") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ImportFileError("It is nested too deeply.") from None
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise ImportFileError("It holds a number that is too long.") from None


def _no_constant(name: str) -> Any:
    raise ImportFileError(f"It is not JSON: {name} is no number there.")


def _entries(place: str, value: Any) -> Iterator[tuple[str, ConversationEntry]]:
    if isinstance(value, dict) and value.get("format") == FORMAT:
        yield from _own(place, value)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            where = f"{place}[{number}]"
            yield where, _foreign(where, item)
    else:
        yield place, _foreign(place, value)


def _own(place: str, value: dict[str, Any]) -> Iterator[tuple[str, ConversationEntry]]:
    version, conversations = value.get("version"), value.get("conversations")
    if not isinstance(version, int) or version < 1:
        raise ImportFileError(f"{at(place, 'version')} must be a number.")
    if version > VERSION:
        raise ImportFileError("A later version of this application made it. Bring it in there.")
    if not isinstance(conversations, list):
        raise ImportFileError(f"{at(place, 'conversations')} must be a list.")
    for number, item in enumerate(conversations):
        where = at(place, "conversations", number)
        try:
            yield where, ConversationEntry.model_validate(item)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise ImportFileError(f"{at(where, *first['loc'])}: {first['msg']}.") from None


def _presets(place: str, entries: Any) -> Iterator[Preset]:
    where = at(place, "presets")
    if not isinstance(entries, list) or len(entries) > MOST_OF_A_FILE:
        raise ImportFileError(f"{where} must be a list of {MOST_OF_A_FILE} presets at most.")
    for number, entry in enumerate(entries):
        try:
            yield check_entry(entry)
        except PresetError as error:
            raise ImportFileError(f"{at(where, number)}: {error}") from None


def _foreign(place: str, value: Any) -> ConversationEntry:
    if isinstance(value, dict):
        for key, read in (("mapping", read_chatgpt), ("messages", read_training), ("conversations", read_sharegpt)):
            if key in value:
                entry = read(place, value)
                if len(entry.messages) > MOST_MESSAGES:
                    raise ImportFileError(f"{at(place, key)} has more than {MOST_MESSAGES} messages.")
                return entry
    raise ImportFileError(f"{place}: {_WHAT_IS_TAKEN}" if place else _WHAT_IS_TAKEN)


def _draft(place: str, entry: ConversationEntry) -> Draft:
    conversation = new_conversation_id()
    now = time.time()
    made: dict[int, Message] = {}
    messages: list[tuple[Message, Sequence[int]]] = []
    for number, one in enumerate(entry.messages):
        where = at(place, "messages", number)
        if one.id in made:
            raise ImportFileError(f"{at(where, 'id')}: another message before it has the same.")
        if one.parent is not None and one.parent not in made:
            raise ImportFileError(f"{at(where, 'parent')}: no message before it has this id.")
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
        messages.append((message, one.reply.tokens if one.reply and message.reply else ()))
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


def _reply(entry: MessageEntry) -> Reply | None:
    """How the model wrote it. One that was written when the file was made is cut: nobody writes it on."""
    if entry.role != "assistant":
        return None
    if entry.reply is None:
        return Reply("stop")
    reply = Reply(**entry.reply.model_dump(exclude={"tokens"}))
    return reply if reply.end is not None else replace(reply, end="cut")
