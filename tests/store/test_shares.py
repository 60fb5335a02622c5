import time
from dataclasses import replace

import pytest

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.links import purge_expired
from components.store.rows import Message, Reply
from components.store.shares import Share, SharedMessage, Shares, snapshot
from tests.store.helpers import READER, STRANGER, conversation, message, said


def shared(database: Database, where: str, expires: float | None = None) -> Share:
    branch = said(database, where, "Who\0 is it?", "床前 😀 \ud800")
    share = Share(conversation=where, title="A poem", content=snapshot(branch), expires=expires)
    with database.writing() as connection:
        Shares(connection, READER).add(share)
    return share


def test_others_see_what_was_said_and_nothing_of_whose_it_was() -> None:
    question = replace(message("where", None, "Hi"), rating=1, note="mine")
    reply = message("where", question, "Hello", Reply("length", model="Baichuan2", writer="p", record={"seen": [1]}))
    assert snapshot([question, reply]) == [
        SharedMessage("user", "Hi"),
        SharedMessage("assistant", "Hello", "Baichuan2", "length"),
    ]


def test_a_share_is_read_by_anybody_until_it_is_withdrawn(database: Database) -> None:
    share = shared(database, conversation(database))
    with database.writing() as connection:
        assert Shares(connection, STRANGER).get(share.id) == share
        assert [one.id for one in Shares(connection, READER).list()] == [share.id]
        assert list(Shares(connection, READER).whole()) == [share]
        Shares(connection, READER).withdraw(share.id)
        assert not Shares(connection, READER).list()
        for use in (Shares(connection, STRANGER).get, Shares(connection, READER).withdraw):
            with pytest.raises(NotFoundError):
                use(share.id)


def test_a_share_expires(database: Database) -> None:
    where = conversation(database)
    late, soon, never = (shared(database, where, expires) for expires in (time.time() - 1, time.time() + 3600, None))
    with database.writing() as connection:
        shares = Shares(connection, READER)
        with pytest.raises(NotFoundError):
            shares.get(late.id)
        assert [one.id for one in shares.list()] == [never.id, soon.id]
        assert purge_expired(connection, time.time()) == 1
        assert purge_expired(connection, time.time()) == 0
        assert [one.id for one in shares.list()] == [never.id, soon.id]


def test_a_share_comes_and_goes_with_its_conversation(database: Database) -> None:
    where = conversation(database)
    share = shared(database, where)
    with database.writing() as connection:
        Conversations(connection, READER).delete(where)
        assert not Shares(connection, READER).list()
        with pytest.raises(NotFoundError):
            Shares(connection, STRANGER).get(share.id)
        Conversations(connection, READER).restore(where)
        assert Shares(connection, STRANGER).get(share.id) == share
        assert Conversations(connection, READER).delete_everything() == 1
        with pytest.raises(NotFoundError):
            Shares(connection, STRANGER).get(share.id)


def test_what_is_said_later_is_not_shared(database: Database) -> None:
    where = conversation(database)
    branch: list[Message] = said(database, where, "Hi")
    share = Share(conversation=where, title="", content=snapshot(branch))
    with database.writing() as connection:
        Shares(connection, READER).add(share)
    said(database, where, "More", "of it")
    with database.reading() as connection:
        assert [one.text for one in Shares(connection, READER).get(share.id).content] == ["Hi"]


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "nothing"])
def test_an_id_that_no_share_has_is_not_found(database: Database, name: str) -> None:
    with database.reading() as connection, pytest.raises(NotFoundError):
        Shares(connection, READER).get(name)
