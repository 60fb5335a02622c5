"""What a reader has is counted alike before and after it is kept."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Reply, new_conversation_id, new_message_id
from components.store.sizes import size_of
from tests.store.helpers import READER, STRANGER, conversation, said

TEXTS = st.text(max_size=20) | st.sampled_from(["床前明月光", "😀", "\ufdfa", "\0", "\ud800"])
JSON = st.dictionaries(TEXTS, TEXTS | st.floats() | st.integers() | st.lists(st.integers()), max_size=3)


@given(st.data())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_is_counted_as_it_is_kept(database: Database, data: st.DataObject) -> None:
    draw = data.draw
    new = Conversation(new_conversation_id(), READER, draw(TEXTS), False, draw(TEXTS), draw(JSON))
    written: list[tuple[Message, list[int]]] = []
    for _ in range(draw(st.integers(0, 3))):
        reply = draw(
            st.none()
            | st.builds(Reply, error=TEXTS, sampling=JSON, model=TEXTS, weights=TEXTS, record=JSON, writer=st.just("p"))
        )
        one = Message(new_message_id(), new.id, None, 0, "user", draw(TEXTS), note=draw(TEXTS), reply=reply)
        written.append((one, draw(st.lists(st.integers(0, 2**32 - 1))) if reply else []))
    with database.writing() as connection:
        own = Conversations(connection, READER)
        own.delete_everything()
        own.add(new)
        for one, tokens in written:
            Messages(connection, new.id).add(one, tokens)
    with database.reading() as connection:
        assert Conversations(connection, READER).characters() == size_of(new, written)


def test_only_ones_own_is_counted(database: Database) -> None:
    said(database, conversation(database, STRANGER), "hello", "you")
    with database.reading() as connection:
        assert Conversations(connection, READER).characters() == 0
