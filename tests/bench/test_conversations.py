"""What is measured with conversations is what it says it is."""

from pathlib import Path

from bench.conversations import ACTIONS, CONVERSATIONS, READERS, actions_of, fill, measure_conversations
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages


def test_every_reader_has_as_many_conversations_with_branches(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'chats.db'}")
    fill(database, 4 * CONVERSATIONS)
    with database.reading() as connection:
        mine = Conversations(connection, "browser:7")
        listed = mine.list(1000)
        assert len(listed) == CONVERSATIONS // READERS
        trees = [Messages(connection, one.id) for one in listed]
        assert {len(tree.all()) for tree in trees} == {4}
        assert any(len(tree.branch(one.leaf, None)) < 4 for one, tree in zip(listed, trees, strict=True))
        assert mine.search("眠 model", 5)
        assert not mine.search("not to be found", 5)
    assert [what for what, _ in actions_of(database, 2)] == [*ACTIONS, *ACTIONS]
    database.close()


def test_both_databases_are_measured(tmp_path: Path) -> None:
    measured = list(measure_conversations(tmp_path, CONVERSATIONS, 1))
    assert [(one.database, one.what) for one in measured] == [
        (database, what) for database in ("SQLite", "PostgreSQL") for what in ACTIONS
    ]
    assert all(one.seconds > 0 for one in measured)
