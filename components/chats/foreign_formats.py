"""Conversations as other programs write them: which form a value has, and training sets in all theirs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from components.chats.chat_exports import read_chatgpt, read_claude, read_open_webui
from components.chats.file_format import ConversationEntry, MessageEntry
from components.chats.import_errors import ImportFileError, Place
from components.chats.turns import Turn, looks_like_turn, read_turn, text_of, words
from components.store.rows import Role

MOST_MESSAGES = 100_000
"""Of one conversation. A page that shows it reads all their numbers."""

_TURNS = ("messages", "conversations", "conversation", "dialog", "dialogue")
_LISTS = ("conversations", "data", "chats", "items", "history", "messages")
"""What a list of conversations may be called in the object around it."""

_QUESTIONS = ("instruction", "prompt", "question", "query", "problem", "input", "human", "user")
_ANSWERS = ("output", "completion", "response", "answer", "chosen", "target", "solution", "reply", "assistant", "bot")


def foreign_entries(place: Place, value: Any) -> Iterator[tuple[Place, Callable[[], ConversationEntry]]]:
    """What a value holds, each with its place and a function that reads it: one may be wrong, and others not.

    The functions raise ``ImportFileError``.
    """
    if (items := _listed(value)) is None:
        yield place, lambda: read_foreign(place, value)
        return
    for number, item in enumerate(items, 1):
        where = Place(place.file, place.line, number)
        yield where, lambda where=where, item=item: read_foreign(where, item)  # type: ignore[misc]


def read_foreign(place: Place, value: Any) -> ConversationEntry:
    """One conversation.

    Raises:
        ImportFileError: it is none that is known here, or wrong somewhere.
    """
    entry = _read(place, value)
    if len(entry.messages) > MOST_MESSAGES:
        raise ImportFileError("messages", place, most=MOST_MESSAGES)
    return entry


def is_turn_list(value: Any) -> bool:
    """Whether it is a conversation as nothing but a list of its turns."""
    return isinstance(value, list) and bool(value) and all(map(looks_like_turn, value))


def _listed(value: Any) -> Sequence[Any] | None:
    """The conversations in a value; None where it is one itself, or nothing that is known."""
    if isinstance(value, list):
        return None if is_turn_list(value) else value
    if not isinstance(value, dict) or _question_key(value) is not None:
        return None
    for key in _LISTS:
        inner = value.get(key)
        if isinstance(inner, list) and inner and any(map(_is_conversation, inner)):
            return inner
    return None


def _is_conversation(value: Any) -> bool:
    if is_turn_list(value):
        return True
    if not isinstance(value, dict) or looks_like_turn(value):
        return False
    return any(key in value for key in ("mapping", "chat_messages", "chat", *_TURNS)) or _is_pair(value)


def _read(place: Place, value: Any) -> ConversationEntry:
    if is_turn_list(value):
        return _entry(_turns(place, value))
    if isinstance(value, dict):
        if "mapping" in value:
            return read_chatgpt(place, value)
        if "chat_messages" in value:
            return read_claude(place, value)
        if isinstance(value.get("chat"), dict) or isinstance(value.get("history"), dict):
            return read_open_webui(place, value)
        for key in _TURNS:
            if key in value:
                return _entry([_system(value), *_turns(place.at(key), value[key])], value.get("title"))
        if _is_pair(value):
            return _entry(
                [_system(value), *_turns(place.at("history"), value.get("history") or []), *_pair(place, value)]
            )
    raise ImportFileError("unknown", place)


def _turns(place: Place, items: Any) -> list[Turn | None]:
    """Turns one behind the other, or pairs of a question and its answer."""
    if not isinstance(items, list):
        raise ImportFileError("no_list", place)
    turns: list[Turn | None] = []
    for number, item in enumerate(items):
        if isinstance(item, list) and len(item) == 2:
            turns += _said(place.at(number, 0), item[0], "user") + _said(place.at(number, 1), item[1], "assistant")
        elif isinstance(item, dict) and not looks_like_turn(item) and _is_pair(item):
            turns += _pair(place.at(number), item)
        else:
            turns.append(read_turn(place.at(number), item))
    return turns


def _pair(place: Place, value: dict[str, Any]) -> list[Turn]:
    """A question and its answer, as training sets write them."""
    question, answer = _question_key(value) or "", _answer_key(value) or ""
    answered = _said(place.at(answer), value[answer], "assistant")
    if answered and answered[0].says == "user":
        return answered  # with the question once more
    asked = _said(place.at(question), value[question], "user")
    more = text_of(value.get("input")) if question != "input" else None
    if more and len(asked) == 1:
        asked = [Turn("user", f"{asked[0].text}\n\n{more}" if asked[0].text else more)]
    return asked + answered


def _said(place: Place, value: Any, role: Role) -> list[Turn]:
    """What one side says, which may be turns already."""
    if is_turn_list(value):
        return [turn for number, item in enumerate(value) if (turn := read_turn(place.at(number), item)) is not None]
    if (text := text_of(value)) is not None:
        return [Turn(role, text)]
    raise ImportFileError("no_text", place)


def _system(value: dict[str, Any]) -> Turn | None:
    told = words(value.get("system")) or words(value.get("system_prompt"))
    return Turn("system", told) if told else None


def _entry(turns: Sequence[Turn | None], title: Any = None) -> ConversationEntry:
    """Turns, each behind the one before."""
    messages: list[MessageEntry] = []
    system = [turn.text for turn in turns if turn is not None and turn.says == "system"]
    for turn in turns:
        if turn is not None and turn.says in ("user", "assistant") and turn.text:
            number = len(messages) + 1
            messages.append(MessageEntry(id=number, parent=number - 1 or None, role=turn.says, text=turn.text))
    return ConversationEntry(title=words(title), system="\n\n".join(system), messages=messages)


def _is_pair(value: dict[str, Any]) -> bool:
    return _question_key(value) is not None and _answer_key(value) is not None


def _question_key(value: dict[str, Any]) -> str | None:
    return next((key for key in _QUESTIONS if key in value and _answer_key(value) is not None), None)


def _answer_key(value: dict[str, Any]) -> str | None:
    return next((key for key in _ANSWERS if key in value), None)
