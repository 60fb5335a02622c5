"""What the database of conversations takes: listing, opening, searching and sending, when there is a lot in it."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from sqlalchemy import Connection

from bench.figures import percentile
from components.chats.asker import Asker
from components.chats.keeper import Keeper
from components.chats.room import make_room
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from components.store.moving import move
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id
from tests.postgres import Cluster

READERS, CONVERSATIONS, KEPT = 50, 2_000, 100_000
"""Readers, their conversations in all, and the messages in these."""

LISTED, OPENED, FOUND = 50, 30, 20
"""Conversations of a list, messages of the branch that a page shows, and what a search finds at the most."""

QUESTION_CHARACTERS, REPLY_CHARACTERS = 60, 1_200

_WORDS = (
    *("月光", "春眠", "不觉晓", "处处", "闻啼鸟", "模型", "参数", "对话", "问题", "的", "是", "Baichuan", "model"),
    *("sampling", "temperature", "the", "a", "of", "and", "to", "in", "code", "list"),
)


@dataclass(frozen=True)
class Action:
    """How long one thing that a reader does took the database."""

    database: str
    what: str
    seconds: float


class ActionSummary(NamedTuple):
    """In seconds."""

    times: int
    median: float
    share_95: float
    most: float


def summarize(actions: Sequence[Action]) -> ActionSummary:
    """Of one ``what`` in one database."""
    seconds = [action.seconds for action in actions]
    return ActionSummary(len(seconds), percentile(seconds, 50), percentile(seconds, 95), max(seconds))


@contextmanager
def filled_databases(folder: Path, messages_in_all: int) -> Iterator[Mapping[str, str]]:
    """Addresses of both databases, by name, with the same in them."""
    with closing(Cluster()) as cluster, cluster.database() as url:
        address = f"sqlite:///{folder / 'conversations.db'}"
        with closing(Database(address)) as sqlite, closing(Database(url)) as postgres:
            fill(sqlite, messages_in_all)
            move(sqlite, postgres)
        yield {"SQLite": address, "PostgreSQL": url}


def measure_conversations(databases: Mapping[str, str], times: int) -> Iterator[Action]:
    """Do everything ``times`` in each database, for one reader after the other."""
    for name, address in databases.items():
        with closing(Database(address)) as database:
            for _ in actions_of(database, READERS):
                pass  # the first time, when the rows are not in memory yet, does not count
            for what, seconds in actions_of(database, times):
                yield Action(name, what, seconds)


def actions_of(database: Database, times: int) -> Iterator[tuple[str, float]]:
    """What is done, and the seconds that it takes."""
    chance = random.Random(1)
    with closing(Keeper(database, lambda: None)) as keeper:
        for number in range(times):
            reader = _reader(number % READERS)
            chosen = _chosen(database, reader, chance)
            for what, do in ACTIONS.items():
                began = perf_counter()
                do(keeper, database, reader, chosen)
                yield what, perf_counter() - began


def fill(database: Database, messages_in_all: int) -> None:
    """Conversations of questions and replies in turn; every fifth reply is another try."""
    chance = random.Random(0)
    for number in range(CONVERSATIONS):
        with database.writing() as connection:
            where = new_conversation_id()
            mine = Conversations(connection, _reader(number % READERS))
            mine.add(Conversation(where, _reader(number % READERS), _text(chance, 20)))
            add_messages(connection, mine, where, messages_in_all // CONVERSATIONS, chance)


def add_messages(
    connection: Connection, mine: Conversations, where: str, count: int, chance: random.Random, retried: float = 0.2
) -> None:
    """Fill the conversation ``where``; so many of its replies are ``retried``."""
    branch: list[Message] = []
    for _ in range(count):
        if branch and branch[-1].reply is not None and chance.random() < retried:
            branch.pop()
        branch.append(_message(chance, where, branch))
        Messages(connection, where).add(branch[-1], range(300) if branch[-1].reply else ())
    mine.change(where, leaf=branch[-1].id)


def _message(chance: random.Random, where: str, branch: Sequence[Message]) -> Message:
    """The next one of a branch: a question, or a reply to it."""
    parent = branch[-1].id if branch else None
    if len(branch) % 2 == 0:
        return Message(new_message_id(), where, parent, len(branch), "user", _text(chance, QUESTION_CHARACTERS))
    reply = Reply("stop", sampling={"temperature": 0.3}, record={"seen": list(range(20))}, writer="p")
    return Message(
        new_message_id(), where, parent, len(branch), "assistant", _text(chance, REPLY_CHARACTERS), reply=reply
    )


def _text(chance: random.Random, characters: int) -> str:
    return " ".join(chance.choices(_WORDS, k=characters))[:characters]


def _reader(number: int) -> str:
    return f"browser:{number}"


def _chosen(database: Database, reader: str, chance: random.Random) -> Conversation:
    with database.reading() as connection:
        return chance.choice(Conversations(connection, reader).list(LISTED))


def _list(_: Keeper, database: Database, reader: str, __: Conversation) -> None:
    with database.reading() as connection:
        Conversations(connection, reader).list(LISTED)


def _open(_: Keeper, database: Database, reader: str, chosen: Conversation) -> None:
    with database.reading() as connection:
        found = Conversations(connection, reader).get(chosen.id)
        kept = Messages(connection, found.id)
        kept.siblings(kept.branch(found.leaf, OPENED))
        kept.placed()


def _search(_: Keeper, database: Database, reader: str, __: Conversation) -> None:
    with database.reading() as connection:
        Conversations(connection, reader).search("not to be found", FOUND)


def _search_common(_: Keeper, database: Database, reader: str, __: Conversation) -> None:
    with database.reading() as connection:
        Conversations(connection, reader).search("眠 model", FOUND)


def _send(keeper: Keeper, database: Database, reader: str, chosen: Conversation) -> None:
    """See how much the reader keeps, then have a question kept and the reply to it, of which nothing is written yet."""
    text = "question " * 8
    make_room(database, Asker(reader, limited=True), len(text))

    def change(connection: Connection) -> None:
        mine = Conversations(connection, reader)
        leaf = mine.get(chosen.id).leaf
        question = Message(new_message_id(), chosen.id, leaf, 0, "user", text)
        reply = Message(new_message_id(), chosen.id, question.id, 1, "assistant", "", reply=Reply(writer="p"))
        for message in (question, reply):
            Messages(connection, chosen.id).add(message)
        mine.change(chosen.id, leaf=reply.id)

    if not keeper.keep(change):
        raise RuntimeError("The question was not kept in time.")


ACTIONS: Mapping[str, Callable[[Keeper, Database, str, Conversation], None]] = {
    "listing": _list,
    f"opening, {OPENED} messages": _open,
    "searching for what is in no message": _search,
    "searching for what is in most": _search_common,
    "sending": _send,
}
