import pytest

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id

READER = "browser:one"


def conversation(database: Database) -> str:
    new = Conversation(new_conversation_id(), READER)
    with database.writing() as connection:
        Conversations(connection, READER).add(new)
    return new.id


def test_a_branch_is_read_from_its_end(database: Database) -> None:
    where = conversation(database)
    question = Message(new_message_id(), where, None, 0, "user", "床前明月光")
    tries = [
        Message(new_message_id(), where, question.id, 1, "assistant", text, reply=Reply("stop", writer="p"))
        for text in ("疑是地上霜", "举头望明月")
    ]
    with database.writing() as connection:
        messages = Messages(connection, where)
        for message in (question, *tries):
            messages.add(message, [1, 125_695])
    with database.reading() as connection:
        messages = Messages(connection, where)
        assert messages.branch(tries[1].id, 10) == [question, tries[1]]
        assert messages.branch(tries[1].id, 1) == [tries[1]]
        assert messages.siblings(tries) == {one.id: [two.id for two in tries] for one in tries}
        assert messages.newest_below(question.id) == tries[1].id
        assert messages.tokens(tries[0].id) == (1, 125_695)


def test_nobody_else_finds_it(database: Database) -> None:
    where = conversation(database)
    with database.writing() as connection:
        strangers = Conversations(connection, "browser:two")
        assert not strangers.list(10)
        for use in (strangers.get, strangers.delete, strangers.restore):
            with pytest.raises(NotFoundError):
                use(where)
