import time
from dataclasses import replace

import pytest

from components.store.conversations import EXCERPT_CHARACTERS, Conversations, Found, excerpt, purge
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.messages import Messages
from components.store.rows import Conversation, new_conversation_id
from components.store.texts import fold
from tests.store.helpers import READER, STRANGER, conversation, said


def searched(database: Database, words: str, limit: int = 10) -> list[Found]:
    with database.reading() as connection:
        return list(Conversations(connection, READER).search(words, limit))


def test_conversations_are_listed_the_pinned_first_then_the_last_changed(database: Database) -> None:
    new = [
        Conversation(new_conversation_id(), READER, str(number), changed=changed, sampling={"top_k": 5})
        for number, changed in enumerate([3.0, 1.0, 2.0])
    ]
    with database.writing() as connection:
        mine = Conversations(connection, READER)
        for one in new:
            mine.add(one)
        mine.change(new[1].id, pinned=True)
        pinned = replace(new[1], pinned=True)
        assert mine.list(10) == [pinned, new[0], new[2]]
        assert [*mine.list(2), *mine.list(2, offset=2)] == [pinned, new[0], new[2]]
        assert mine.get(new[0].id) == new[0]


def test_one_that_is_there_already_stays_as_it_is(database: Database) -> None:
    where = conversation(database, title="First")
    for reader in (READER, STRANGER):
        with database.writing() as connection:
            Conversations(connection, reader).add(Conversation(where, reader, "Second"))
    with database.reading() as connection:
        assert Conversations(connection, READER).get(where).title == "First"
        assert not Conversations(connection, STRANGER).list(10)


def test_what_is_deleted_can_be_had_back_until_it_is_purged(database: Database) -> None:
    kept, gone = conversation(database, title="kept"), conversation(database, title="gone")
    said(database, gone, "Where am I?")
    with database.writing() as connection:
        mine = Conversations(connection, READER)
        mine.delete(gone)
        assert [one.id for one in mine.list(10)] == [kept]
        assert [one.id for one in mine.deleted()] == [gone]
        with pytest.raises(NotFoundError):
            mine.get(gone)
        assert not mine.search("where", 5)
        assert not mine.search("gone", 5)
        mine.restore(gone)
        assert {one.id for one in mine.list(10)} == {kept, gone}
        assert not mine.deleted()
        mine.delete(gone)
        assert purge(connection, time.time() - 60) == 0
        assert purge(connection, time.time() + 60) == 1
        assert not mine.deleted()
        assert not Messages(connection, gone).all()
        with pytest.raises(NotFoundError):
            mine.restore(gone)


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "a\0b", "x" * 10_000, "'; DROP TABLE messages"])
def test_an_id_that_no_conversation_has_is_not_found(database: Database, name: str) -> None:
    with database.writing() as connection:
        mine = Conversations(connection, READER)
        for use in (mine.get, mine.delete, mine.restore, lambda it: mine.change(it, title="x")):
            with pytest.raises(NotFoundError):
                use(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("床前明月光，疑是地上霜。", "明月"),
        ("床前明月光，疑是地上霜。", "霜 床前"),
        ("Ｂａｉｃｈｕａｎ２ 是什么", "baichuan2"),
        ("baichuan2", "ＢＡＩＣＨＵＡＮ"),
        ("平成が終わる", "㍻"),
        ("ﾊﾝｶｸ", "ハンカク"),
        ("Die STRASSE", "straße"),
        ("Größe", "GRO\u0308SSE"),
        ("100% sure", "0%"),
        ("a_b", "a_"),
        (r"C:\chats", r":\c"),
        ("1/2", "/2"),
        ("😀 grins", "😀"),
        ("שלום עולם", "לום"),
        ("one\ntwo", "two one"),
        ("before\0after", "before\0after"),
        ("half \ud83d of it", "\ud83d"),
    ],
)
def test_parts_of_words_are_found_whatever_their_case_and_width(database: Database, text: str, words: str) -> None:
    where = conversation(database)
    (question,) = said(database, where, text)
    (found,) = searched(database, words)
    assert (found.conversation.id, found.message) == (where, question.id)
    assert all(word in fold(found.excerpt) for word in fold(words).split())
    assert [one.conversation.title for one in searched(database, words)] == [""]


@pytest.mark.parametrize("words", ["%", "_", "\\", "/", "a%c", "a_c", "%%", "[a-c]", "*", "明日", "", "   ", "\0"])
def test_nothing_stands_for_anything_else_in_a_search(database: Database, words: str) -> None:
    said(database, conversation(database, title="a title"), "abc 明月")
    assert not searched(database, words)


def test_titles_are_searched_and_all_words_must_be_in_one_place(database: Database) -> None:
    titled, other = conversation(database, title="Ｐｏｅｍｓ of Li Bai"), conversation(database, title="100%")
    said(database, other, "poems", "by whom")
    assert [(one.conversation.id, one.message) for one in searched(database, "poems bai")] == [(titled, None)]
    assert not searched(database, "poems whom")
    assert [one.conversation.id for one in searched(database, "%")] == [other]
    assert len(searched(database, "poems")) == 2
    assert len(searched(database, "poems", limit=1)) == 1


def test_the_newest_message_is_found_of_the_conversation_that_changed_last(database: Database) -> None:
    older, newer = conversation(database), conversation(database)
    said(database, older, "moon", "moon")
    last = said(database, newer, "moon", "moon")[-1]
    assert [one.conversation.id for one in searched(database, "moon")] == [newer, older]
    assert searched(database, "moon")[0].message == last.id


@pytest.mark.parametrize(
    "before", ["", "word " * 100, "㍻" * 200, "ß" * 200, "\ufdfa" * 50, "a\n\n" * 300, "e\u0301" * 99]
)
@pytest.mark.parametrize("after", ["", " word" * 100])
def test_an_excerpt_shows_what_was_found(before: str, after: str) -> None:
    part = excerpt(f"{before}needle{after}", ["needle"])
    assert "needle" in part
    assert len(part) <= EXCERPT_CHARACTERS + 4
    assert "\n" not in part


def test_everything_a_reader_has_goes_for_good(database: Database) -> None:
    said(database, conversation(database), "Hi", "Hello")
    binned = conversation(database)
    strangers = conversation(database, STRANGER)
    with database.writing() as connection:
        Conversations(connection, READER).delete(binned)
    with database.writing() as connection:
        mine = Conversations(connection, READER)
        assert mine.delete_everything() == 2
        assert not mine.list(10)
        assert not mine.deleted()
        assert [one.id for one in Conversations(connection, STRANGER).list(10)] == [strangers]
