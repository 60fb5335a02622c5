"""All that a reader has leaves in one file, however much it is, and comes back: as a whole, or file by file."""

import io
import json
import zipfile
from collections.abc import Callable

import pytest

from components.chats.asker import Asker
from components.chats.drafts import keep
from components.chats.everything import zip_everything
from components.chats.exporting import json_of, read_entry, read_everything, text_of
from components.chats.file_format import ConversationEntry, MessageEntry, ReplyEntry
from components.chats.importing import read_file
from components.sampling.presets import check_preset
from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.presets import Presets

MINE, THEIRS = Asker("browser:one"), Asker("browser:two")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many bytes a file may have that is brought in."""
    small = get_settings().model_copy(update={"max_import_bytes": 100_000, "max_stored_chars": 1_000_000})
    for module in ("everything", "importing"):
        monkeypatch.setattr(f"components.chats.{module}.get_settings", lambda: small)
    return small.max_import_bytes


def conversation(title: str, messages: int, text: str = "字") -> ConversationEntry:
    """Of a question and replies to replies, with tokens."""
    entries = [
        MessageEntry(
            id=number,
            parent=number - 1 or None,
            role="user" if number % 2 else "assistant",
            text=text,
            created=float(number),
            reply=None if number % 2 else ReplyEntry(end="stop", tokens=[100_000] * len(text)),
        )
        for number in range(1, messages + 1)
    ]
    return ConversationEntry(title=title, created=1.0, changed=1.0, shown=messages, messages=entries)


def bring_in(database: Database, asker: Asker, data: bytes) -> None:
    contents = read_file(data)
    assert contents.unread == 0
    keep(database, asker, contents.drafts, contents.presets)


def all_of(database: Database, asker: Asker) -> list[str]:
    return sorted(map(text_of, read_everything(database, asker.reader)))


def files_in(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


Entries = Callable[[], list[ConversationEntry]]

LIVES: dict[str, tuple[Entries, int, int]] = {
    "nothing": (list, 1, 0),
    "a short one": (lambda: [conversation("a", 2)], 1, 0),
    "many": (lambda: [conversation(str(n), 40, "字" * 20) for n in range(40)], 2, 0),
    "a large one": (
        lambda: [conversation("a", 2), conversation("large", 400, "字" * 100), conversation("b", 2)],
        2,
        1,
    ),
}
"""Conversations, of how many files they are at least, and how many of these are packed by themselves."""


@pytest.mark.parametrize(("entries", "files_at_least", "packed"), LIVES.values(), ids=list(LIVES))
def test_what_is_downloaded_can_be_brought_in(
    database: Database, small: int, entries: Entries, files_at_least: int, packed: int
) -> None:
    for entry in entries():
        keep(database, MINE, read_file("".join(json_of([entry])).encode()).drafts)
    with database.writing() as connection:
        Presets(connection, MINE.reader).bring_in([check_preset("A", {"temperature": 0.5})])

    data = zip_everything(database, MINE.reader)
    bring_in(database, THEIRS, data)
    files = files_in(data)
    for content in files.values():
        assert len(content) <= small
        if entries():
            bring_in(database, Asker("one after the other"), content)

    assert all_of(database, THEIRS) == all_of(database, MINE)
    if entries():
        assert all_of(database, Asker("one after the other")) == all_of(database, MINE)
    with database.reading() as connection:
        assert [kept.preset.name for kept in Presets(connection, THEIRS.reader).list()] == ["A"]
    assert len(files) >= files_at_least
    assert len([name for name in files if name.endswith(".gz")]) == packed


def test_a_conversation_that_grew_after_it_was_brought_in_is_downloaded_and_comes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 100
    monkeypatch.setattr("components.chats.foreign_formats.MOST_MESSAGES", most)
    said = [{"role": "user", "content": "x"}] * most
    keep(database, MINE, read_file(json.dumps({"messages": said}).encode()).drafts)
    [kept] = all_of(database, MINE)
    grown = json.loads(kept)
    grown["messages"] += [{"id": most + 1, "parent": most, "role": "user", "text": "one more"}]
    whole = {"format": "baichuan-chat", "version": 1, "conversations": [grown]}

    keep(database, THEIRS, read_file(json.dumps(whole).encode()).drafts)
    bring_in(database, Asker("browser:three"), zip_everything(database, THEIRS.reader))

    with database.reading() as connection:
        [one] = Conversations(connection, "browser:three").list(5)
        assert read_entry(connection, "browser:three", one.id).messages[-1].text == "one more"


def test_what_is_kept_can_be_had_whatever_it_is(database: Database) -> None:
    keep(database, MINE, read_file("".join(json_of([conversation("a", 2)])).encode()).drafts)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE replies SET \"end\" = 'by a later version', prompt_tokens = -5")
        connection.exec_driver_sql("UPDATE conversations SET changed = 1e300")

    [entry] = read_everything(database, MINE.reader)

    assert entry.messages[1].reply is not None
    assert entry.messages[1].text == "字"
    assert json.loads(text_of(entry))["messages"][1]["text"] == "字"
