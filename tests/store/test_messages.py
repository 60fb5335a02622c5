from dataclasses import replace

import pytest

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import ConflictError, NotFoundError
from components.store.messages import Messages, pack, stops_wanted, unpack
from components.store.rows import Message, Reply
from tests.store.helpers import READER, conversation, message, said


def test_a_branch_is_read_from_its_end(database: Database) -> None:
    where = conversation(database)
    question, *_ = said(database, where, "床前明月光")
    tries = [message(where, question, text, Reply("stop", writer="p")) for text in ("疑是地上霜", "举头望明月")]
    with database.writing() as connection:
        messages = Messages(connection, where)
        for one in tries:
            messages.add(one, [1, 125_695])
        assert messages.branch(tries[1].id, 10) == [question, tries[1]]
        assert messages.branch(tries[1].id, None) == [question, tries[1]]
        assert messages.branch(tries[1].id, 1) == [tries[1]]
        assert messages.branch(None, 10) == []
        assert messages.siblings(tries) == {one.id: [two.id for two in tries] for one in tries}
        assert messages.siblings([question]) == {question.id: [question.id]}
        assert messages.newest_below(question.id) == tries[1].id
        assert messages.newest_below(tries[0].id) == tries[0].id
        assert messages.tokens(tries[0].id) == (1, 125_695)
        assert messages.all_tokens() == {one.id: (1, 125_695) for one in tries}
        assert messages.all() == [question, *tries]
        assert messages.by_ids([tries[1].id, question.id, 5]) == [question, tries[1]]


def test_what_was_kept_with_ids_out_of_order_is_read_in_the_order_of_its_branch(database: Database) -> None:
    where = conversation(database)
    question = message(where, None, "Hi")
    reply = replace(message(where, question, "Hello", Reply("stop", writer="p")), id=question.id - 1)
    with database.writing() as connection:
        messages = Messages(connection, where)
        for one in (question, reply):
            messages.add(one)
        assert messages.by_ids([question.id, reply.id]) == [question, reply]
        assert messages.branch(reply.id, None) == [question, reply]
        assert messages.all() == [question, reply]


def test_a_message_that_is_there_already_stays_as_it_is(database: Database) -> None:
    where = conversation(database)
    question, reply = said(database, where, "Hi", "Hello")
    with database.writing() as connection:
        messages = Messages(connection, where)
        for one in (question, reply):
            messages.add(replace(one, text="Something else", reply=Reply(writer="another")), [5])
        assert messages.all() == [question, reply]
        assert messages.tokens(reply.id) == (1, 125_695)


def test_what_follows_nothing_here_is_a_conflict(database: Database) -> None:
    where, elsewhere = conversation(database), conversation(database)
    (question,) = said(database, elsewhere, "Hi")
    for parent in (question.id, 5, 2**70):
        with pytest.raises(ConflictError), database.writing() as connection:
            Messages(connection, where).add(replace(message(where, None, "And?"), parent=parent))
    with pytest.raises(ConflictError), database.writing() as connection:
        Messages(connection, "nowhere").add(message("nowhere", None, "And?"))
    with database.reading() as connection:
        assert Messages(connection, where).all() == []


def test_how_deep_a_message_is_follows_from_where_it_is(database: Database) -> None:
    where = conversation(database)
    first, second = said(database, where, "1", "2")
    with database.writing() as connection:
        messages = Messages(connection, where)
        third = message(where, second, "3")
        messages.add(replace(third, depth=77))
        assert messages.branch(third.id, None) == [first, second, third]


def test_a_reply_grows_ends_and_is_written_on(database: Database) -> None:
    where = conversation(database)
    (question,) = said(database, where, "Hi")
    begun = Reply(sampling={"temperature": 0.3}, record={"seen": [question.id]}, writer="p")
    reply = message(where, question, "", begun)

    def kept() -> Message:
        with database.reading() as connection:
            return Messages(connection, where).get(reply.id)

    with database.writing() as connection:
        Messages(connection, where).add(reply)
    with database.writing() as connection:
        Messages(connection, where).set_reply(reply.id, "Hel", (), begun)
    assert kept() == replace(reply, text="Hel")
    with database.writing() as connection:
        Messages(connection, where).want_stopped(reply.id)
        assert stops_wanted(connection, "p") == [reply.id]
        assert stops_wanted(connection, "q") == []
    with database.writing() as connection:  # the next state of one that grows must not undo the wish
        Messages(connection, where).set_reply(reply.id, "Hell", (), begun)
        assert stops_wanted(connection, "p") == [reply.id]
    ended = replace(begun, end="stop", prompt_tokens=3, completion_tokens=2, seconds=0.5, first_token_seconds=0.1)
    with database.writing() as connection:
        Messages(connection, where).set_reply(reply.id, "Hello", [9, 10], ended)
        assert stops_wanted(connection, "p") == []
        assert Messages(connection, where).tokens(reply.id) == (9, 10)
    assert kept() == replace(reply, text="Hello", reply=ended)
    with database.writing() as connection:
        Messages(connection, where).begin_again(reply.id, begun)
        assert Messages(connection, where).tokens(reply.id) == (9, 10)
    assert kept() == replace(reply, text="Hello")
    with database.reading() as connection:
        assert [found.message for found in Conversations(connection, READER).search("hello", 5)] == [reply.id]


def test_ratings_and_places_are_kept(database: Database) -> None:
    where = conversation(database)
    question, reply, last = said(database, where, "1", "2", "3")
    with database.writing() as connection:
        messages = Messages(connection, where)
        messages.rate(reply.id, -1, "No\0pe")
        messages.put(last.id, "pinned")
        messages.put(question.id, "left_out")
        rated = messages.get(reply.id)
        assert (rated.rating, rated.note) == (-1, "No\ufffdpe")
        assert [(one.id, one.place) for one in messages.placed()] == [(question.id, "left_out"), (last.id, "pinned")]
        messages.put(last.id, "usual")
        assert [one.id for one in messages.placed()] == [question.id]


@pytest.mark.parametrize("number", [5, -(2**63), 2**63, -(2**70)])
def test_a_number_that_no_message_has_is_not_found(database: Database, number: int) -> None:
    where = conversation(database)
    said(database, where, "Hi")
    with database.writing() as connection:
        messages = Messages(connection, where)
        uses = (
            messages.get,
            messages.newest_below,
            lambda it: messages.rate(it, 1, ""),
            lambda it: messages.put(it, "usual"),
        )
        for use in uses:
            with pytest.raises(NotFoundError):
                use(number)
        assert messages.branch(number, 5) == []
        assert messages.tokens(number) == ()


def test_a_conversation_of_thousands_of_messages_is_read_and_deleted(database: Database) -> None:
    where = conversation(database)
    branch = said(database, where, *(str(number) for number in range(3000)))
    with database.writing() as connection:
        messages = Messages(connection, where)
        assert messages.branch(branch[-1].id, None) == branch
        assert messages.newest_below(branch[0].id) == branch[-1].id
        assert Conversations(connection, READER).delete_everything() == 1
        assert messages.all() == []


def test_token_ids_are_packed_and_unpacked() -> None:
    ids = (0, 1, 125_695, 2**32 - 1)
    assert unpack(pack(ids)) == ids
    assert len(pack(ids)) == 16
