"""Conversations for the tests of the store."""

from components.store.conversations import Conversations
from components.store.database import Database
from components.store.messages import Messages
from components.store.rows import Conversation, Message, Reply, Role, new_conversation_id, new_message_id

READER, STRANGER = "browser:one", "browser:two"


def conversation(database: Database, reader: str = READER, title: str = "") -> str:
    """A new one; gives its id."""
    new = Conversation(new_conversation_id(), reader, title)
    with database.writing() as connection:
        Conversations(connection, reader).add(new)
    return new.id


def message(where: str, parent: Message | None, text: str, reply: Reply | None = None) -> Message:
    """One that follows another one."""
    role: Role = "user" if reply is None else "assistant"
    depth = 0 if parent is None else parent.depth + 1
    return Message(new_message_id(), where, parent.id if parent else None, depth, role, text, reply=reply)


def said(database: Database, where: str, *texts: str) -> list[Message]:
    """A branch of questions and ended replies in turn, kept."""
    branch: list[Message] = []
    for number, text in enumerate(texts):
        reply = Reply("stop", writer="process") if number % 2 else None
        branch.append(message(where, branch[-1] if branch else None, text, reply))
    with database.writing() as connection:
        messages = Messages(connection, where)
        for one in branch:
            messages.add(one, [1, 125_695] if one.reply else ())
    return branch
