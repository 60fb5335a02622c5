"""The scores that are kept of replies, packed. Of each reader only those of the newest replies: they are large."""

from sqlalchemy import Connection, delete, insert, select

from components.store.schema import conversations, messages
from components.store.schema import scores as table

KEPT_REPLIES = 100
"""Of each reader. A reply of 500 tokens takes 85 kB at the most, with 50 scores a step of a model in bfloat16; 130 kB
from one in float32. What is dropped can be read again by the model."""


class Scores:
    """Those of one conversation. Who may see it was decided before."""

    def __init__(self, connection: Connection, conversation: str) -> None:
        self._connection = connection
        self._conversation = conversation

    def get(self, message: int) -> bytes | None:
        """What is kept of a reply; None where nothing is."""
        query = select(table.c.content).join(messages, messages.c.id == table.c.message)
        here = messages.c.conversation == self._conversation
        return self._connection.scalar(query.where(table.c.message == message, here))

    def put(self, message: int, content: bytes | None) -> None:
        """Keep this of a reply, or nothing, instead of what was kept. Of one that is gone nothing is."""
        query = select(conversations.c.reader).join(messages, messages.c.conversation == conversations.c.id)
        here = messages.c.conversation == self._conversation
        reader = self._connection.scalar(query.where(messages.c.id == message, here))
        if reader is None:
            return
        self._connection.execute(delete(table).where(table.c.message == message))
        if content is None:
            return
        self._connection.execute(insert(table).values(message=message, reader=reader, content=content))
        own = table.c.reader == reader
        newest = select(table.c.message).where(own).order_by(table.c.message.desc())
        last = self._connection.scalar(newest.offset(KEPT_REPLIES - 1).limit(1))
        if last is not None:
            # This one stays even where a clock that was set back makes it look older.
            older = delete(table).where(own, table.c.message < last, table.c.message != message)
            self._connection.execute(older)
