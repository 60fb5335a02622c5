"""Over both databases: one that hangs, and one that refuses a value, keep nobody from chatting and lose nothing."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.keeper import Keeper
from components.chats.records import reply_now
from components.chats.replies import Replies
from components.chats.reply import End, ReplyTask
from components.engine.events import Finished
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import ConflictError, NotFoundError
from components.store.messages import Messages
from components.store.rows import Conversation, Reply, new_conversation_id
from tests.chats.helpers import CONTROLS, ask, texts, wait_until
from tests.postgres import Cluster
from tests.scripted_engine import ScriptedEngine


@pytest.fixture
def replies(url: str) -> Iterator[Replies]:
    replies = Replies(Database(url))
    yield replies
    replies.keeper.close()
    replies.database.close()


@pytest.fixture
def lock(url: str, backend: str, request: pytest.FixtureRequest) -> Callable[[], object]:
    """Nobody can write meanwhile; in PostgreSQL nobody can read, either."""

    @contextmanager
    def locked() -> Iterator[None]:
        if backend == "postgresql":
            cluster: Cluster = request.getfixturevalue("postgres")
            with cluster.locked(url, "messages"):
                yield
            return
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    return locked


def kept(chat: Chat) -> list[str]:
    return texts(Chat.open(chat.asker, chat.replies, chat.conversation.id).shown)


def test_the_model_is_asked_while_the_database_hangs_and_nothing_is_lost(
    chat: Chat, engine: ScriptedEngine, lock: Callable[..., object]
) -> None:
    ask(chat, engine, "one")
    other = Chat.new(Asker("browser:two", limited=True), chat.replies)
    with lock():  # type: ignore[attr-defined]
        asking = threading.Thread(target=lambda: chat.ask(engine, "two", CONTROLS), daemon=True)
        asking.start()
        asking.join(60)
        assert not asking.is_alive(), "it waits for the database"
        assert engine.requests[-1].messages[-1]["content"] == "two"
        assert chat.unkept is not None
        assert "cannot be used" in chat.unkept
        other.ask(engine, "three", CONTROLS)
        assert engine.requests[-1].messages[-1]["content"] == "three"
    for one in (chat, other):
        wait_until(lambda one=one: one.unkept is None and one.writing is None)  # type: ignore[misc]
        wait_until(lambda one=one: one.replies.is_kept(one.last.id))  # type: ignore[misc]
    assert kept(chat) == ["one", "You said: one", "two", "You said: two"]
    assert kept(other) == ["three", "You said: three"]


def test_changes_are_kept_in_their_order_whoever_had_to_wait(
    replies: Replies, lock: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.chats.keeper.WAIT_SECONDS", 0.1)
    new = Conversation(new_conversation_id(), "browser:one")
    replies.keeper.keep(lambda connection: Conversations(connection, new.reader).add(new))
    done: list[int] = []

    def change(number: int) -> Callable[[Connection], None]:
        def do(connection: Connection) -> None:
            Conversations(connection, new.reader).change(new.id, title=str(number))
            Messages(connection, new.id).all()
            done.append(number)

        return do

    with lock():  # type: ignore[attr-defined]
        assert not replies.keeper.keep(change(0))
        assert not replies.keeper.keep(change(1))
    assert replies.keeper.settle(60)
    assert replies.keeper.keep(change(2))
    assert done[-3:] == [0, 1, 2]


def test_nobody_waits_for_a_change_that_takes_long(replies: Replies) -> None:
    go_on, done = threading.Event(), threading.Event()

    def change(_: Connection) -> None:
        go_on.wait(60)
        done.set()

    assert not replies.keeper.keep(change)
    assert not done.is_set()
    assert replies.keeper.problem is not None
    go_on.set()
    assert replies.keeper.settle(60)
    assert done.is_set()


VALUES = {
    "a number beyond its column": lambda f: replace(f, prompt_tokens=2**31 + 5),
    "a number below zero": lambda f: replace(f, completion_tokens=-(2**63)),
    "no number": lambda f: replace(f, seconds=float("nan"), waited=float("nan")),
    "an infinite number": lambda f: replace(f, time_to_first_token=float("inf"), suggested_penalty=float("-inf")),
    "a number beyond JSON's": lambda f: replace(f, reused_tokens=2**80),
}


@pytest.mark.parametrize("change", VALUES.values(), ids=VALUES)
def test_figures_that_no_column_holds_are_kept_as_far_as_they_can_be(
    chat: Chat, engine: ScriptedEngine, change: Callable[[Finished], Finished]
) -> None:
    engine.script = lambda _: ["hi", change(Finished("stop", 5, 2, 1.0, 0.5))]
    reply = ask(chat, engine, "one")
    assert reply.reply is not None
    assert (reply.text, reply.reply.end, reply.reply.completion_tokens is None) == ("hi", "stop", False)
    assert chat.unkept is None


REFUSED = {
    "a text that is too long": Reply("a much longer end than any", writer="p"),
    "a number beyond its column": Reply("stop", prompt_tokens=2**70, writer="p"),
    "no JSON": Reply("stop", record={"x": object()}, writer="p"),
    "no text": Reply("stop", error=object(), writer="p"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_reply_whose_figures_are_refused_keeps_its_text_and_holds_up_no_other(
    chat: Chat, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, refused: Reply, backend: str
) -> None:
    def refused_now(begun: Reply, task: ReplyTask, end: End | None) -> Reply:
        now = reply_now(begun, task, end)
        return refused if end is not None and begun.record["system"] == "refuse" else now

    monkeypatch.setattr("components.chats.replies.reply_now", refused_now)
    other = Chat.new(Asker("browser:two"), chat.replies)
    chat.ask(engine, "one", replace(CONTROLS, system="refuse"))
    ask(other, engine, "two")
    wait_until(lambda: chat.last is not None and chat.replies.is_kept(chat.last.id))
    assert kept(chat) == ["one", "You said: one"]
    assert kept(other) == ["two", "You said: two"]
    assert chat.unkept is None
    if refused.end != "stop" and backend == "sqlite":
        return  # which takes texts of any length
    ended = Chat.open(chat.asker, chat.replies, chat.conversation.id).last
    assert ended is not None
    assert ended.reply is not None
    assert ended.reply.end == "stop"


def insert_too_much(connection: Connection) -> None:
    connection.exec_driver_sql("INSERT INTO sheet_votes VALUES ('no such sheet', 'voter', 1, 1)")


def overflow(connection: Connection) -> None:
    Messages(connection, "x").rate(2**63 - 1, 2**200, "")


def fault(_: Connection) -> None:
    raise KeyError("mine")


def gone(connection: Connection) -> None:
    Conversations(connection, "nobody").change("nothing", title="x")


@pytest.mark.parametrize(
    ("change", "error"),
    [(insert_too_much, ConflictError), (overflow, Exception), (fault, KeyError), (gone, NotFoundError)],
)
@pytest.mark.parametrize("late", [False, True])
def test_a_change_that_cannot_be_kept_is_left_out_and_its_asker_told(
    replies: Replies, change: Callable[[Connection], None], error: type[Exception], late: bool
) -> None:
    new = Conversation(new_conversation_id(), "browser:one")
    keeper: Keeper = replies.keeper
    if late:
        keeper.problem = "The database is away."
        assert not keeper.keep(change)
    else:
        with pytest.raises(error):
            keeper.keep(change)
    keeper.keep(lambda connection: Conversations(connection, new.reader).add(new))
    assert keeper.settle(60)
    with replies.database.reading() as connection:
        assert Conversations(connection, new.reader).get(new.id) == new
