"""Everything of a reader's goes, and does not come back by what is still being written."""

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.erasing import delete_everything
from components.chats.exporting import read_own_presets
from components.chats.replies import Replies
from components.chats.sharing import NotKeptError, share, shared_as
from components.sampling.presets import check_preset
from components.store.conversations import Conversations
from components.store.errors import NotFoundError
from components.store.presets import Presets
from tests.chats.helpers import CONTROLS, ask, wait_until
from tests.chats.test_sharing import store_away
from tests.scripted_engine import ScriptedEngine, endless


def ids(replies: Replies, reader: str = "browser:one") -> list[str]:
    with replies.database.reading() as connection:
        return list(Conversations(connection, reader).ids())


def test_conversations_the_bin_and_what_is_shared_go_and_others_keep_theirs(
    chat: Chat, engine: ScriptedEngine, replies: Replies
) -> None:
    ask(chat, engine, "hello")
    shared = share(chat, "never")
    thrown_away, others = Chat.new(chat.asker, replies), Chat.new(Asker("browser:other"), replies)
    for one in (thrown_away, others):
        ask(one, engine, "hello, too")
    others_share = share(others, "never")
    with replies.database.writing() as connection:
        Conversations(connection, chat.asker.reader).delete(thrown_away.conversation.id)

    with replies.database.writing() as connection:
        for reader in (chat.asker.reader, "browser:other"):
            Presets(connection, reader).save(check_preset("A", {}))

    assert delete_everything(chat.asker, replies) == 2

    assert ids(replies) == []
    assert ids(replies, "browser:other") == [others.conversation.id]
    assert read_own_presets(replies.database, chat.asker.reader) == []
    assert read_own_presets(replies.database, "browser:other") == [check_preset("A", {})]
    assert shared_as(replies.database, others_share.id)
    with pytest.raises(NotFoundError):
        shared_as(replies.database, shared.id)


def test_what_is_being_written_stops_and_does_not_come_back(
    chat: Chat, engine: ScriptedEngine, replies: Replies
) -> None:
    engine.script = endless
    chat.ask(engine, "write on", CONTROLS)
    assert chat.last is not None
    reply = chat.last
    wait_until(lambda: bool(chat.now(reply).text))

    delete_everything(chat.asker, replies)

    wait_until(lambda: bool(engine.cancelled), "the reply is not stopped")
    wait_until(lambda: replies.is_kept(reply.id), "the keeper does not go on")
    assert ids(replies) == []
    engine.script = ScriptedEngine().script
    ask(other := Chat.new(chat.asker, replies), engine, "what comes later is kept")
    assert ids(replies) == [other.conversation.id]


def test_what_waits_to_be_kept_is_not_forgotten_about(
    chat: Chat, engine: ScriptedEngine, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store_away(replies, monkeypatch):
        chat.ask(engine, "hello", CONTROLS)
        monkeypatch.setattr("components.chats.erasing.SETTLE_SECONDS", 0.1)
        with pytest.raises(NotKeptError):
            delete_everything(chat.asker, replies)
    monkeypatch.setattr("components.chats.erasing.SETTLE_SECONDS", 60.0)

    delete_everything(chat.asker, replies)

    wait_until(lambda: chat.writing is None)
    wait_until(lambda: not replies.keeper.is_behind)
    assert ids(replies) == []


WORDS = "something that nobody is to read any more"


def in_files(replies: Replies) -> list[str]:
    """The names of the files that hold what was said."""
    file = replies.database.file
    assert file is not None
    return [one.name for one in file.parent.glob(f"{file.name}*") if WORDS.encode() in one.read_bytes()]


def test_nothing_is_left_in_the_files_while_the_server_runs(
    chat: Chat, engine: ScriptedEngine, replies: Replies
) -> None:
    ask(chat, engine, WORDS * 100)
    assert in_files(replies)
    delete_everything(chat.asker, replies)
    wait_until(lambda: not in_files(replies))


def test_what_is_left_while_somebody_reads_goes_later(
    chat: Chat, engine: ScriptedEngine, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.chats.replies.CHECK_SECONDS", 0.0)
    ask(chat, engine, WORDS * 100)
    with replies.database.reading() as connection:
        Conversations(connection, chat.asker.reader).ids()
        delete_everything(chat.asker, replies)
        assert in_files(replies)
    wait_until(lambda: not in_files(replies))


def test_what_the_bin_loses_goes_from_the_files_as_well(
    chat: Chat, engine: ScriptedEngine, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(chat, engine, WORDS * 100)
    with replies.database.writing() as connection:
        Conversations(connection, chat.asker.reader).delete(chat.conversation.id)
    monkeypatch.setattr("components.chats.replies.BIN_SECONDS", -1.0)
    for name in ("CHECK_SECONDS", "PURGE_SECONDS"):
        monkeypatch.setattr(f"components.chats.replies.{name}", 0.0)
    wait_until(lambda: not in_files(replies))
