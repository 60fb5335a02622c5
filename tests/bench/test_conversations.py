"""What is measured with conversations is what it says it is."""

from pathlib import Path

from bench.clicks import MOVE, MOVE_LENGTH, OPEN, STOP, measure_clicks
from bench.conversations import (
    ACTIONS,
    CONVERSATIONS,
    READERS,
    actions_of,
    fill,
    filled_databases,
    measure_conversations,
)
from bench.looking import SLIDERS, measure_looks
from bench.storing import AT_ONCE, storing_of
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from tests.scripted_engine import ScriptedEngine


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
    with filled_databases(tmp_path, CONVERSATIONS) as databases:
        measured = list(measure_conversations(databases, 1))
    assert [(one.database, one.what) for one in measured] == [
        (database, what) for database in ("SQLite", "PostgreSQL") for what in ACTIONS
    ]
    assert all(one.seconds > 0 for one in measured)


def test_replies_are_kept_while_they_are_timed(tmp_path: Path) -> None:
    engine = ScriptedEngine(lambda _: ["word "] * 40)
    url = f"sqlite:///{tmp_path / 'chats.db'}"
    (stored,) = storing_of(engine, {"SQLite": url}, 40, 1)
    assert stored.computed > 0
    assert stored.kept > 0
    assert stored.without > 0
    assert stored.with_store > 0
    # A question each before the model is asked, and the ends, some of them together.
    assert AT_ONCE < stored.transactions <= 3 * AT_ONCE
    database = Database(url)
    with database.reading() as connection:
        (one,) = Conversations(connection, "bench:0").list(10)
        kept = Messages(connection, one.id).all()
    database.close()
    assert [message.text for message in kept][1] == "word " * 40


def test_clicks_are_timed_and_counted_in_conversations_of_each_length(tmp_path: Path) -> None:
    clicks = list(measure_clicks(tmp_path, (4, 40), 1))
    assert [(click.messages, click.what) for click in clicks] == [
        (length, what) for length in (4, 40) for what in (OPEN, MOVE, MOVE_LENGTH, STOP)
    ]
    assert all(click.received > 0 for click in clicks if click.what != MOVE), "these run the page"
    assert all(click.sent == click.received == 0 for click in clicks if click.what == MOVE), "the browser keeps it"
    opened = {click.messages: click.received for click in clicks if click.what == OPEN}
    assert opened[4] < opened[40]


def test_looking_inside_a_reply_is_measured(tmp_path: Path) -> None:
    (look,) = measure_looks(tmp_path, 40, 1, moves=3)
    assert look.message > 40 * 50 * 2, "two bytes for a score at least"
    assert look.sent > 0
    assert look.seconds > 0
    assert len(look.moves) == 3 * len(SLIDERS)
    assert all(seconds > 0 for seconds in look.moves)
