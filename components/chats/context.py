"""Which messages of a conversation the model is given: as many of the newest as fit, and those that were pinned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from components.chats.records import turns_of
from components.engine.errors import EngineError, PromptError
from components.engine.interface import Engine
from components.model.chat_format import Message as Turn
from components.model.chat_format import Prompt
from components.store.rows import Message

FIRST_LOOK = 64
"""So many messages are read to begin with, and four times as many where all of them fit."""


@dataclass(frozen=True)
class Context:
    """What the model sees.

    Attributes:
        messages: these, the oldest first; the last is the question, or the reply to write on. None where there is
            nothing to answer: asking an engine gives a ``PromptError`` that says so.
        first: the message from which on it sees all but those left out; what stands before is seen only where pinned.
            None when it sees everything.
        is_guess: whether nobody could count the tokens at present.
    """

    messages: Sequence[Message]
    first: Message | None
    is_guess: bool = False


@dataclass(frozen=True)
class _Turn:
    """A question with its reply, which are seen or left out together."""

    messages: tuple[Message, ...]

    @property
    def is_pinned(self) -> bool:
        return any(message.place == "pinned" for message in self.messages)

    @property
    def is_usable(self) -> bool:
        """Whether it can be shown to the model: not when it was left out or its reply came to nothing."""
        return all(message.place != "left_out" and message.text for message in self.messages) and len(self.messages) > 1


Branch = Callable[[int | None], Sequence[Message]]
"""Reads the last messages of a branch, so many of them, or all for None; the last of all is what is to be answered."""


def build_context(
    branch: Branch, engine: Engine, system: str, max_new_tokens: int, *, has_pinned: bool = False
) -> Context:
    """What the model is given to answer a branch; nothing where the branch is empty, which no engine answers.

    It is empty before a conversation's first message, where that is a reply, and once it was deleted.
    Reads only as much of it as the model can see, unless something is pinned.
    """
    limit = None if has_pinned else FIRST_LOOK
    while True:
        messages = branch(limit)
        if not messages:
            return Context((), None)
        context = _fit(messages, engine, system, max_new_tokens)
        if limit is None or len(messages) < limit or context.first is not None:
            return context
        limit *= 4


def _fit(branch: Sequence[Message], engine: Engine, system: str, max_new_tokens: int) -> Context:
    *past, newest = _turns(branch)
    usable = [turn for turn in past if turn.is_usable]
    is_guess = False

    def prompt_of(given: Sequence[Turn]) -> Prompt:
        nonlocal is_guess
        if not is_guess:
            try:
                return engine.build_prompt(given, max_new_tokens)
            except PromptError:
                raise
            except EngineError:  # whoever counts the tokens is away; neither the page nor a question waits for that
                is_guess = True
        return engine.estimate_prompt(given, max_new_tokens)

    def dropped(turns: Sequence[_Turn]) -> int:
        """How many of these turns do not fit."""
        try:
            messages_dropped = prompt_of(turns_of(system, _messages([*turns, newest]))).dropped_messages
        except PromptError:
            return 0  # sending it says what is wrong
        ends = accumulate(len(turn.messages) for turn in turns)
        return sum(end <= messages_dropped for end in ends)

    start = dropped(usable)
    pinned = [turn for turn in usable[:start] if turn.is_pinned]
    while pinned and dropped([*pinned, *usable[start:]]):
        if start < len(usable):
            start += 1
        else:
            del pinned[0]
    kept = [*pinned, *usable[start:]]
    first = (usable[start] if start < len(usable) else newest).messages[0] if start else None
    return Context(_messages([*kept, newest]), first, is_guess)


def _turns(branch: Sequence[Message]) -> list[_Turn]:
    """The branch in turns; each begins with a question, and the last may lack its reply."""
    turns: list[list[Message]] = []
    for message in branch:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return [_Turn(tuple(turn)) for turn in turns]


def _messages(turns: Sequence[_Turn]) -> list[Message]:
    return [message for turn in turns for message in turn.messages]
