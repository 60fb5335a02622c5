"""Titles of conversations and of what is kept beside them."""

TITLE_CHARACTERS = 60
"""Of a first title, which the question gives."""

LONGEST_TITLE = 200
"""In characters, whoever gives it."""


def title_of(question: str) -> str:
    """A first title for a conversation: the beginning of its first question, in one line."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1] + "…"
