"""Nobody sees or changes what is another reader's, whichever method is called with an id of it."""

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import ConflictError, NotFoundError
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Reply, new_message_id
from components.store.schema import metadata
from components.store.shares import Share, Shares, snapshot
from components.store.sizes import ROW_CHARACTERS
from tests.store.helpers import READER, STRANGER, conversation, said

SECRET = "0123456789-SECRET-abc"


@dataclass(frozen=True)
class Theirs:
    """What ``READER`` has, and an own conversation of the stranger's that asks for it."""

    conversation: str
    question: Message
    reply: Message
    share: str
    strangers: str


Use = Callable[[Any, Theirs], object]

OWN = ROW_CHARACTERS + len("{}")
"""What an empty conversation of one's own counts, with its sampling parameters."""

CONVERSATIONS: dict[str, Use] = {
    "get": lambda it, theirs: it.get(theirs.conversation),
    "list": lambda it, _: it.list(100),
    "deleted": lambda it, _: it.deleted(),
    "ids": lambda it, _: it.ids(),
    "search": lambda it, _: it.search("secret", 100),
    "characters": lambda it, _: it.characters() - OWN,
    "empty_bin": lambda it, _: it.empty_bin(),
    "add": lambda it, theirs: it.add(Conversation(theirs.conversation, STRANGER, "Mine now")),
    "change": lambda it, theirs: it.change(theirs.conversation, title="Mine now"),
    "delete": lambda it, theirs: it.delete(theirs.conversation),
    "restore": lambda it, theirs: it.restore(theirs.conversation),
}

MESSAGES: dict[str, Use] = {
    "get": lambda it, theirs: it.get(theirs.reply.id),
    "branch": lambda it, theirs: it.branch(theirs.reply.id, None),
    "siblings": lambda it, theirs: list(it.siblings([theirs.reply])[theirs.reply.id]),
    "newest_below": lambda it, theirs: it.newest_below(theirs.question.id),
    "all": lambda it, _: it.all(),
    "by_ids": lambda it, theirs: it.by_ids([theirs.reply.id]),
    "tokens": lambda it, theirs: it.tokens(theirs.reply.id),
    "all_tokens": lambda it, _: it.all_tokens(),
    "add": lambda it, theirs: it.add(replace(theirs.reply, text="Mine now", reply=Reply(writer="mine")), [7]),
    "set_reply": lambda it, theirs: it.set_reply(theirs.reply.id, "Mine now", [7], Reply(writer="mine")),
    "begin_again": lambda it, theirs: it.begin_again(theirs.reply.id, Reply(writer="mine")),
    "want_stopped": lambda it, theirs: it.want_stopped(theirs.reply.id),
    "rate": lambda it, theirs: it.rate(theirs.reply.id, -1, "Mine now"),
    "put": lambda it, theirs: it.put(theirs.reply.id, "left_out"),
    "questions": lambda it, _: it.questions(),
    "stretch": lambda it, theirs: it.stretch(theirs.reply.id, 0, 9),
    "end_through": lambda it, theirs: it.end_through(theirs.question.id, theirs.reply.id),
    "placed": lambda it, _: it.placed(),
}

SHARES: dict[str, Use] = {
    "add": lambda it, theirs: it.add(Share(conversation=theirs.conversation, title="", content=[])),
    "list": lambda it, _: it.list(),
    "whole": lambda it, _: list(it.whole()),
    "withdraw": lambda it, theirs: it.withdraw(theirs.share),
}

PUBLIC = {"Shares.get", "Conversations.delete_everything"}
"""What is meant for everybody; and what takes no id, of which ``test_conversations`` sees to it."""


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize(("kind", "uses"), [(Conversations, CONVERSATIONS), (Messages, MESSAGES), (Shares, SHARES)])
def test_every_method_is_in_the_tables_here(kind: type, uses: dict[str, Use]) -> None:
    assert public(kind) - set(uses) == {name for name in public(kind) if f"{kind.__name__}.{name}" in PUBLIC}


@pytest.fixture
def theirs(database: Database) -> Theirs:
    where = conversation(database, title=SECRET)
    question, reply = said(database, where, SECRET, SECRET)
    share = Share(conversation=where, title=SECRET, content=snapshot([question, reply]))
    with database.writing() as connection:
        Messages(connection, where).put(question.id, "pinned")
        Shares(connection, READER).add(share)
    return Theirs(where, question, reply, share.id, conversation(database, STRANGER))


def everything(connection: Connection) -> dict[str, list[Any]]:
    return {
        table.name: sorted(map(repr, connection.execute(select(table).where(*_theirs(table)))))
        for table in metadata.sorted_tables
    }


def _theirs(table: Any) -> list[Any]:
    return [table.c.reader == READER] if "reader" in table.c else []


def check(database: Database, use: Callable[[Connection], object]) -> None:
    with database.reading() as connection:
        before = everything(connection)
    given: object = None
    with contextlib.suppress(NotFoundError, ConflictError), database.writing() as connection:
        given = use(connection)
    assert not given, f"a stranger was given {given}"
    with database.reading() as connection:
        assert everything(connection) == before


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_no_conversation_of_others(database: Database, theirs: Theirs, name: str) -> None:
    with database.writing() as connection:
        Conversations(connection, STRANGER).delete(theirs.strangers)
        Conversations(connection, STRANGER).restore(theirs.strangers)
        Conversations(connection, STRANGER).change(theirs.strangers, leaf=theirs.reply.id)

    def use(connection: Connection) -> object:
        given = CONVERSATIONS[name](Conversations(connection, STRANGER), theirs)
        return [one for one in given if theirs.strangers not in repr(one)] if isinstance(given, list) else given

    check(database, use)


@pytest.mark.parametrize("name", MESSAGES)
def test_no_message_of_others_through_a_conversation_of_ones_own(database: Database, theirs: Theirs, name: str) -> None:
    check(database, lambda connection: MESSAGES[name](Messages(connection, theirs.strangers), theirs))


def test_nothing_of_ones_own_follows_a_message_of_others(database: Database, theirs: Theirs) -> None:
    mine = replace(theirs.question, id=new_message_id(), parent=theirs.reply.id)
    check(database, lambda connection: Messages(connection, theirs.strangers).add(mine))


@pytest.mark.parametrize("name", SHARES)
def test_no_share_of_others(database: Database, theirs: Theirs, name: str) -> None:
    check(database, lambda connection: SHARES[name](Shares(connection, STRANGER), theirs))
