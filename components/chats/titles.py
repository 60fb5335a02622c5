"""Titles of conversations and of what is kept beside them."""

from collections.abc import Sequence

from components.store.messages import Messages
from components.store.rows import Conversation, Message

TITLE_CHARACTERS = 60
"""Of a first title, which the question gives."""

LONGEST_TITLE = 200
"""In characters, whoever gives it."""


def title_of(question: str) -> str:
    """A first title for a conversation: the beginning of its first question, in one line."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"


def title_for_others(conversation: Conversation, branch: Sequence[Message], messages: Messages) -> str:
    """The title under which others see one branch of a conversation, the oldest of its ``messages`` first.

    A first title is the first question as it was worded first. Where that stands on another branch, it is none of
    theirs: they see the question that this branch begins with.
    """
    ours = [title_of(message.text) for message in branch if message.role == "user"]
    is_theirs = conversation.title in map(title_of, messages.questions()) and conversation.title not in ours
    return ours[0] if ours and is_theirs else conversation.title
