"""Whether a conversation fits a model whose tokens only another server can count.

That one is asked only when it is not clear anyway: no text has more tokens than bytes. Where it cannot tell, an
estimate with a margin serves.
"""

import logging
from collections.abc import Callable, Sequence

from components.engine.errors import EngineError, PromptError
from components.model.chat_format import Message, MessagesError, Prompt, first_kept, split_system

Text = str | Sequence[Message]
"""A plain text, or a conversation."""

logger = logging.getLogger(__name__)

MESSAGE_TOKENS = 16
"""Room for what a chat template puts around a message."""

WIDE_TOKENS_PER_CHARACTER = 1.0
NARROW_TOKENS_PER_CHARACTER = 1 / 3
"""Estimates: Baichuan 2 needs about 0.7 for Chinese and a quarter for English, smaller vocabularies more."""

MARGIN = 1.1
"""An estimate must fit this many times."""


class Measure:
    """Measures the prompts of one request."""

    def __init__(self, count: Callable[[Text], int] | None) -> None:
        """``count`` asks the server, and raises an ``EngineError`` when it cannot tell; None: nobody is asked."""
        self._count = count

    def fits(self, text: Text, room: int) -> bool:
        """Whether the text or the messages have ``room`` tokens at the most."""
        return most_tokens(text) <= room or self.length(text) <= room

    def length(self, text: Text) -> float:
        """How many tokens the text or the messages have; a careful guess where the server cannot tell."""
        if self._count is not None:
            try:
                return self._count(text)
            except EngineError as error:
                logger.info("The length of a conversation is estimated: %s", error)
                self._count = None
        return MARGIN * estimate_tokens(text)


def measured_prompt(messages: Sequence[Message], room: int, measure: Measure) -> Prompt:
    """Which messages fit into so many tokens, without the prompt's ids.

    Raises:
        PromptError: the messages are not a conversation that a model can answer.
    """
    system, turns = parted(messages)
    start = first_kept(turns, lambda start: measure.fits([*system, *turns[start:]], room))
    return Prompt([], dropped_messages=start, too_long=not measure.fits([*system, *turns[start:]], room))


def parted(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The system message, if any, and the turns.

    Raises:
        PromptError: see ``measured_prompt``.
    """
    try:
        return split_system(messages)
    except MessagesError as error:
        raise PromptError(str(error)) from error


def most_tokens(text: Text) -> int:
    """A bound that no tokenizer exceeds."""
    if isinstance(text, str):
        return len(text.encode())
    return sum(MESSAGE_TOKENS + most_tokens(message["content"]) for message in text)


def estimate_tokens(text: Text) -> int:
    """About how many tokens there are. Chinese needs more of them for a character than Latin script."""
    if isinstance(text, str):
        wide = sum(character >= "\u2e80" for character in text)
        return round(wide * WIDE_TOKENS_PER_CHARACTER + (len(text) - wide) * NARROW_TOKENS_PER_CHARACTER)
    return sum(MESSAGE_TOKENS + estimate_tokens(message["content"]) for message in text)
