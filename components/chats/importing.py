"""Conversations from files: this application's own, training sets', and other chats' exports.

A file is bounded before it is read, by its size, by what it unpacks to, and by how many values it can hold at most, so
that it cannot fill the memory. A conversation in it that cannot be read is passed over, and told; the others come in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, takewhile
from typing import Any

from pydantic import ValidationError

from components.chats.drafts import Draft, draft_of
from components.chats.file_format import FORMAT, VERSION, ConversationEntry
from components.chats.foreign_formats import foreign_entries, read_foreign
from components.chats.import_errors import ImportFileError, Place
from components.chats.json_values import values_of
from components.chats.turns import looks_like_turn
from components.chats.unpacking import Bounds, unpacked
from components.sampling.presets import MOST_OF_A_FILE, Preset, PresetError, check_entry
from components.settings import get_settings

MOST_CONTAINERS = 1_000_000
"""Brackets that open an object or a list in one document. Each may take some 200 bytes of memory where it has two."""

MOST_CONVERSATIONS = 10_000
"""In one document. A ZIP file may have five times as many."""

MOST_UNREAD = 20_000
"""What cannot be read, until it is no file of conversations."""

MOST_TOLD = 3
"""Of what cannot be read so many are named."""

_Read = Callable[[], ConversationEntry]


@dataclass
class Contents:
    """What a file holds.

    Attributes:
        drafts: its conversations.
        presets: its presets.
        unread: how many of both could not be read.
        told: why the first of these could not.
    """

    drafts: list[Draft] = field(default_factory=list)
    presets: list[Preset] = field(default_factory=list)
    unread: int = 0
    told: list[ImportFileError] = field(default_factory=list)

    def pass_over(self, error: ImportFileError) -> None:
        """Note something that cannot be read.

        Raises:
            ImportFileError: the first of them: there are too many to go on.
        """
        self.unread += 1
        if self.unread > MOST_UNREAD:
            raise self.told[0]
        if len(self.told) < MOST_TOLD:
            self.told.append(error)


def read_file(data: bytes) -> Contents:
    """What a file holds: conversations, with ids of their own whatever the file said, and presets.

    Raises:
        ImportFileError: it holds nothing that can be read, or too much; it says where.
    """
    most = get_settings()
    bounds = Bounds(4 * most.max_import_bytes, 8 * max(most.max_import_bytes, most.max_stored_chars))
    contents = Contents()
    for place, document in unpacked(data, bounds):
        if document.count(b"[") + document.count(b"{") > MOST_CONTAINERS:
            raise ImportFileError("values", place)
        try:
            _read_document(place, document, contents)
        except ImportFileError as error:
            if not place.file or error.problem == "conversations":
                raise
            contents.pass_over(error)
    if not contents.presets and not contents.drafts:
        raise contents.told[0] if contents.told else ImportFileError("empty")
    return contents


def _read_document(place: Place, document: bytes, contents: Contents) -> None:
    before = len(contents.drafts)
    for where, read in _entries(place, document, contents):
        try:
            draft = draft_of(where, read())
        except ImportFileError as error:
            contents.pass_over(error)
            continue
        if draft.messages:
            contents.drafts.append(draft)
        if max(len(contents.drafts) - before, len(contents.drafts) // 5) > MOST_CONVERSATIONS:
            raise ImportFileError("conversations", place, most=MOST_CONVERSATIONS)


def _entries(place: Place, document: bytes, contents: Contents) -> Iterator[tuple[Place, _Read]]:
    """The conversations of a document, each with its place and a function that reads it."""
    values = values_of(document, place)
    first = next(values)
    if looks_like_turn(first[1]):  # a conversation whose turns are lines
        turns = [value for _, value in chain([first], values)]
        yield place, lambda: read_foreign(place, turns)
        return
    for where, value in chain([first], values):
        if isinstance(value, ImportFileError):
            contents.pass_over(value)
        elif isinstance(value, dict) and value.get("format") == FORMAT:
            try:
                yield from _own(where, value, contents)
            except ImportFileError as error:
                if not where.line:
                    raise
                contents.pass_over(error)
        else:
            yield from foreign_entries(where, value)


def _own(place: Place, value: dict[str, Any], contents: Contents) -> Iterator[tuple[Place, _Read]]:
    version, conversations = value.get("version"), value.get("conversations")
    if not isinstance(version, int) or version < 1:
        raise ImportFileError("version", place.at("version"))
    if version > VERSION:
        raise ImportFileError("later_version")
    if not isinstance(conversations, list):
        raise ImportFileError("no_list", place.at("conversations"))
    contents.presets += _presets(place, value.get("presets", []), contents)
    for number, item in enumerate(conversations, 1):
        where = Place(place.file, place.line, number)
        yield where, lambda where=where, item=item: _own_entry(where, item)  # type: ignore[misc]


def _own_entry(place: Place, item: Any) -> ConversationEntry:
    try:
        return ConversationEntry.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    steps = takewhile(lambda step: isinstance(step, int) or step.isidentifier(), first["loc"])  # not: which of several
    raise ImportFileError("missing" if first["type"] == "missing" else "wrong_value", place.at(*steps))


def _presets(place: Place, entries: Any, contents: Contents) -> Iterator[Preset]:
    where = place.at("presets")
    if not isinstance(entries, list) or len(contents.presets) + len(entries) > MOST_OF_A_FILE:
        raise ImportFileError("presets", where, most=MOST_OF_A_FILE)
    for number, entry in enumerate(entries):
        try:
            yield check_entry(entry)
        except PresetError:
            contents.pass_over(ImportFileError("preset", where.at(number)))
