"""Any text is kept, as far as databases can keep it, and given back as it is."""

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from components.store.rows import Conversation, Reply, new_conversation_id
from components.store.texts import fold, storable
from tests.store.helpers import READER, message, said

TEXTS = {
    "NUL": "be\0fore",
    "half of a character": "\ud83d and \udc00",
    "four bytes": "😀𠮷👩‍👩‍👧",
    "right to left": "שלום \u202eevil\u202c עולם",
    "quotes": "'; DROP TABLE messages; -- \" \\ $$ :name %s ?",
    "white space": " \t\r\n\u2028\u3000\ufeff ",
    "combining": "e\u0301 a\u0300\u0301\u0302",
    "not characters": "\uffff\U0010ffff",
    "empty": "",
    "1 MB": "月光abc\n" * 100_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_is_kept_wherever_one_may_be(database: Database, text: str) -> None:
    kept = storable(text)
    new = Conversation(new_conversation_id(), READER, text, system=text, sampling={"stop": text})
    reply = Reply("error", "other", text, {"stop": text}, text, text, record={"system": text}, writer="p")
    with database.writing() as connection:
        mine = Conversations(connection, READER)
        mine.add(new)
        assert mine.get(new.id) == replace(new, title=kept, system=kept)
        mine.change(new.id, title=f"<{text}>")
        assert mine.get(new.id).title == f"<{kept}>"
        answer = message(new.id, None, text, reply)
        messages = Messages(connection, new.id)
        messages.add(answer)
        messages.rate(answer.id, 1, text)
        expected = replace(reply, error=kept, model=kept, weights=kept)
        assert messages.get(answer.id) == replace(answer, text=kept, rating=1, note=kept, reply=expected)
        messages.set_reply(answer.id, f"<{text}>", (), reply)
        assert messages.get(answer.id).text == f"<{kept}>"


def test_any_text_may_be_searched_for(database: Database) -> None:
    with database.writing() as connection:
        mine = Conversations(connection, READER)
        new = Conversation(new_conversation_id(), READER)
        mine.add(new)
    said(database, new.id, *TEXTS.values())
    with database.reading() as connection:
        for name, text in TEXTS.items():
            if text.split():
                assert Conversations(connection, READER).search(text, 5), name
        assert Conversations(connection, READER).search("月光abc" * 100_000, 5) == []
        assert Conversations(connection, READER).search(" ".join(map(str, range(100_000, 105_000))), 5) == []


@given(st.text())
def test_folding_once_is_enough_and_leaves_storable_text(text: str) -> None:
    assert fold(fold(text)) == fold(text) == storable(fold(text))


def test_every_single_character_is_folded_for_good() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        assert fold(fold(character)) == fold(character), hex(code)
