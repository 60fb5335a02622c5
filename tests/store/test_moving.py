"""Back-ups, restoring and moving, between both databases in both directions."""

import contextlib
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import data
from components.sampling.presets import check_preset
from components.settings import get_settings
from components.store import moving
from components.store.conversations import Conversations
from components.store.database import Database, get_database
from components.store.errors import ConflictError, StoreError
from components.store.links import new_share_id
from components.store.messages import Messages
from components.store.presets import Presets
from components.store.processes import Processes, this_process
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id
from components.store.scores import Scores
from components.store.shares import Share, Shares, snapshot
from components.store.sheet_shares import SheetShare, SheetShares, vote
from components.store.sheets import Cell, Sample, Sheet, Sheets, new_sheet_id
from tests.postgres import Cluster
from tests.store.helpers import READER, STRANGER, conversation, message, said


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A second database, without tables, of each kind."""
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'target' / 'chats.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(request.getfixturevalue("postgres").database())
        database = Database(url)
        stack.callback(database.close)
        yield database


def fill(database: Database) -> None:
    """Something in every table and column."""
    for reader in (READER, STRANGER):
        where = conversation(database, reader, f"Ｔｉｔｌｅ of {reader}\0")
        first, second, *_ = said(database, where, "床前明月光", "😀" * 3000, "third", "fourth")
        again = message(where, first, "again", Reply("length", sampling={"top_k": 5}, record={"a": [1]}, writer="p"))
        growing = message(where, second, "growing", Reply(writer="p"))
        with database.writing() as connection:
            messages = Messages(connection, where)
            messages.add(again, range(1000))
            # Not every row stands behind what it follows: by its number, or since that was written anew.
            messages.add(replace(message(where, again, "of a slow clock"), id=first.id - 1))
            messages.rate(first.id, 1, "")
            messages.add(growing)
            Scores(connection, where).put(again.id, bytes(range(256)))
            messages.rate(again.id, -1, "note")
            messages.put(again.id, "pinned")
            mine = Conversations(connection, reader)
            mine.change(where, leaf=again.id, sampling={"temperature": 0.3}, system="system", pinned=True)
            Shares(connection, reader).add(
                Share(conversation=where, title="t", content=snapshot([first, second]), expires=5e9)
            )
            sheet = Sheet(new_sheet_id(), reader, "grid", "Why?", [Cell({"top_k": 5}, [Sample("Ｂ😀")])])
            Sheets(connection, reader).add(sheet)
            SheetShares(connection, reader).add(SheetShare(new_share_id(), sheet.id, expires=5e9))
            vote(connection, sheet.id, "voter", 0)
            Presets(connection, reader).save(check_preset("床前", {"temperature": 0.7}))
    with database.writing() as connection:
        Conversations(connection, STRANGER).delete(where)
        Processes(connection).register(replace(this_process("gone"), pid=2**22 + 5))


def everything(database: Database) -> dict[str, list[Any]]:
    with database.reading() as connection:
        return {
            table.name: sorted(tuple(row.values()).__repr__() for row in connection.execute(select(table)).mappings())
            for table in moving.TABLES
        }


def test_a_back_up_restores_everything(database: Database, target: Database, tmp_path: Path) -> None:
    fill(database)
    before = everything(database)
    assert all(before.values())
    file = tmp_path / "back-up.db"
    assert moving.back_up(database, file) == {name: len(rows) for name, rows in before.items()}
    assert [path.name for path in tmp_path.iterdir() if "back-up" in path.name] == ["back-up.db"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    moving.restore(file, target)
    assert everything(target) == everything(database) == before


def test_what_is_there_is_replaced_only_when_told(database: Database, tmp_path: Path) -> None:
    fill(database)
    before = everything(database)
    file = tmp_path / "back-up.db"
    moving.back_up(database, file)
    conversation(database, title="later")
    with pytest.raises(StoreError, match="holds conversations already: 3"):
        moving.restore(file, database)
    moving.restore(file, database, replace=True)
    assert everything(database) == before


def test_conversations_move_to_another_database(database: Database, target: Database) -> None:
    fill(database)
    moving.move(database, target)
    assert everything(target) == everything(database)
    with pytest.raises(StoreError, match="holds conversations already: 2"):
        moving.move(database, target)
    with pytest.raises(StoreError, match="already"):
        moving.move(database, database)


def test_nothing_is_moved_from_under_a_server(database: Database, target: Database) -> None:
    fill(database)
    with database.writing() as connection:
        Processes(connection).register(this_process("server"))
    with pytest.raises(StoreError, match=r"A server uses .* Stop it first"):
        moving.move(database, target)
    with database.writing() as connection:
        Processes(connection).forget("server")
    moving.move(database, target)


def test_what_fails_halfway_leaves_the_database_as_it_was(
    database: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    monkeypatch.setattr(moving, "TABLES", [*moving.TABLES, moving.TABLES[0]])  # whose rows are there by then
    with pytest.raises(ConflictError):
        moving.move(database, target)
    assert not any(everything(target).values())


def test_a_back_up_is_of_one_moment_while_a_server_writes(database: Database, tmp_path: Path) -> None:
    """Every conversation is begun with two messages in one transaction; none has one only."""
    stop = False

    def write() -> int:
        written = 0
        while not stop:
            where = new_conversation_id()
            question = Message(new_message_id(), where, None, 0, "user", "x" * 500)
            with database.writing() as connection:
                Conversations(connection, READER).add(Conversation(where, READER))
                for one in (question, Message(new_message_id(), where, question.id, 1, "user", "y" * 500)):
                    Messages(connection, where).add(one)
            written += 1
        return written

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        counts: list[int] = []
        try:
            while len(set(counts)) < 5:
                file = tmp_path / f"{len(counts)}.db"
                told = moving.back_up(database, file)
                assert told["messages"] == 2 * told["conversations"]
                counts.append(told["conversations"])
        finally:
            stop = True
        assert writer.result() >= counts[-1]
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_back_up_of_a_back_up_restored_elsewhere_is_the_same(postgres: Cluster, tmp_path: Path) -> None:
    """There and back again: SQLite, PostgreSQL, SQLite."""
    first, last = (Database(f"sqlite:///{tmp_path / name}.db") for name in ("first", "last"))
    fill(first)
    with postgres.database() as url:
        middle = Database(url)
        moving.move(first, middle)
        moving.move(middle, last)
        middle.close()
    assert everything(last) == everything(first)
    first.close()
    last.close()


def no_file(file: Path, _: Path) -> None:
    pass


def a_folder(file: Path, _: Path) -> None:
    file.mkdir()


def a_text(file: Path, _: Path) -> None:
    file.write_text("Not a database. " * 1000)


def an_empty_file(file: Path, _: Path) -> None:
    file.touch()


def another_database(file: Path, _: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE conversations (x)")


def half_a_back_up(file: Path, good: Path) -> None:
    file.write_bytes(good.read_bytes()[: good.stat().st_size // 2])


def a_later_one(file: Path, good: Path) -> None:
    shutil.copy(good, file)
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_file, "No such file"),
        (a_folder, "Is a directory"),
        (a_text, "no back-up"),
        (an_empty_file, "no back-up"),
        (another_database, "no back-up"),
        (half_a_back_up, "damaged"),
        (a_later_one, "later version"),
    ],
)
def test_what_is_no_back_up_is_refused(
    database: Database, tmp_path: Path, make: Callable[[Path, Path], None], words: str
) -> None:
    fill(database)
    moving.back_up(database, good := tmp_path / "good.db")
    before = everything(database)
    make(file := tmp_path / "file.db", good)
    with pytest.raises(StoreError, match=words) as caught:
        moving.restore(file, database, replace=True)
    assert str(file) in str(caught.value)
    assert everything(database) == before


def test_a_back_up_that_cannot_be_written_leaves_nothing(database: Database, tmp_path: Path) -> None:
    (there := tmp_path / "there.db").write_text("Mine")
    with pytest.raises(StoreError, match="exists already"):
        moving.back_up(database, there)
    assert there.read_text() == "Mine"
    with pytest.raises(StoreError, match="cannot be written"):
        moving.back_up(database, tmp_path / "no such folder" / "file.db")


def test_the_command_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        get_settings.cache_clear()
        get_database.cache_clear()
        code = data.main(list(arguments))
        get_database().close()
        output = capsys.readouterr()
        return code, output.out + output.err

    monkeypatch.setenv("BAICHUAN_DATABASE_URL", url)
    monkeypatch.setenv("BAICHUAN_DATA_DIR", str(tmp_path / "data"))
    try:
        database = Database(url)
        fill(database)
        database.close()
        file, moved = str(tmp_path / "back-up.db"), f"sqlite:///{tmp_path / 'moved.db'}"
        name = Database(url).name
        assert run("backup", file) == (0, f"{file} holds 2 conversations with 14 messages of {name}.\n")
        code, text = run("backup", file)
        assert (code, text) == (1, f"Error: {file} exists already. Name a new file, or delete that one.\n")
        code, text = run("restore", file)
        assert code == 1
        assert "holds conversations already: 2" in text
        assert run("restore", file, "--replace") == (0, f"{name} holds 2 conversations with 14 messages of {file}.\n")
        code, text = run("move", "--to", moved)
        assert code == 0
        assert f"{moved} holds 2 conversations with 14 messages. Set BAICHUAN_DATABASE_URL" in text
        for wrong in ("mysql://host", "nonsense"):
            code, text = run("move", "--to", wrong)
            assert (code, text[:7]) == (1, "Error: ")
        monkeypatch.setenv("BAICHUAN_DATABASE_URL", moved)
        again = f"{file}.2"
        assert run("backup", again) == (0, f"{again} holds 2 conversations with 14 messages of {moved}.\n")
        monkeypatch.delenv("BAICHUAN_DATABASE_URL")
        code, text = run("backup", f"{file}.3")
        assert code == 1
        assert "There is no" in text
        assert run("restore", file)[0] == 0
        assert (tmp_path / "data" / "chats.db").exists()
    finally:
        get_settings.cache_clear()
        get_database.cache_clear()
