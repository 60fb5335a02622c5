"""One turn of a conversation as programs write it: who says what, under whatever names."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from components.chats.import_errors import ImportFileError, Place
from components.store.rows import Role
from components.store.texts import storable

_ROLE_KEYS = ("role", "from", "sender", "author", "speaker")
_TEXT_KEYS = ("content", "value", "text", "parts", "message")

_SPEAKERS: Mapping[Role, tuple[str, ...]] = {
    "user": ("user", "human", "prompter", "question", "customer", "student", "用户"),
    "assistant": (
        *("assistant", "gpt", "chatgpt", "bot", "model", "ai", "chatbot", "bing", "bard", "gemini", "claude", "llm"),
        *("answer", "助手"),
    ),
}
_TOLD = ("system", "developer", "system_prompt")
_PASSED_OVER = (
    *("tool", "tools", "tool_call", "tool_calls", "tool_response", "tool_result", "tool_results", "tool_use"),
    *("function", "functions", "function_call", "function_response", "function-call", "function-response"),
    *("observation", "ipython", "environment"),
)

_SAYS: Mapping[str, Role | Literal["system", "tool"]] = {
    **{name: role for role, names in _SPEAKERS.items() for name in names},
    **dict.fromkeys(_TOLD, "system"),
    **dict.fromkeys(_PASSED_OVER, "tool"),
}
"""By the names that files have, in small letters."""

_CALLS = ("tool_calls", "function_call")

_SHOWN: Mapping[str, str] = {
    "image": "[image]",
    "img": "[image]",
    "picture": "[image]",
    "photo": "[image]",
    "audio": "[audio]",
    "video": "[video]",
    "file": "[file]",
    "document": "[file]",
}
"""What stands for a message without words, by what the name of its kind has in it: its reply must answer something."""

_SILENT = ("tool", "thinking", "thoughts", "reasoning", "redacted", "function", "transcription")
"""Kinds of parts that are no part of what was said. A transcription has its text beside."""

_LATEST = 1e11
"""Seconds since 1970; what is later may be thousandths, or no time at all."""


@dataclass(frozen=True)
class Turn:
    """What somebody says: ``system`` what the model is told beforehand, ``tool`` nothing that is shown."""

    says: Role | Literal["system", "tool"]
    text: str


def looks_like_turn(value: Any) -> bool:
    """Whether it says who speaks, and has a text, or calls a tool."""
    return (
        isinstance(value, dict)
        and any(isinstance(value.get(key), str | dict) for key in _ROLE_KEYS)
        and any(key in value for key in (*_TEXT_KEYS, *_CALLS))
    )


def read_turn(place: Place, value: Any) -> Turn | None:
    """The turn that an object is; None where it shows nothing: a tool's, and a reply that only calls one.

    Raises:
        ImportFileError: it does not say who speaks, or what.
    """
    if not isinstance(value, dict):
        raise ImportFileError("no_object", place)
    if (says := _speaker(value)) is None:
        key = next((key for key in _ROLE_KEYS if key in value), _ROLE_KEYS[0])
        raise ImportFileError("role", place.at(key))
    if says == "tool":
        return None
    key = next((key for key in _TEXT_KEYS if value.get(key)), next((key for key in _TEXT_KEYS if key in value), ""))
    text = text_of(value.get(key))
    if text is None and (says == "assistant" or any(value.get(call) for call in _CALLS)):
        return None
    if text is None:
        raise ImportFileError("no_text", place.at(key or _TEXT_KEYS[0]))
    return Turn(says, text or shown_instead(value)) if text or shown_instead(value) else None


def speaker_of(name: Any) -> Role | Literal["system", "tool"] | None:
    """Who speaks under this name; None where that is not known."""
    return _SAYS.get(name.strip().lower()) if isinstance(name, str) else None


def text_of(content: Any) -> str | None:
    """What a message says: a text, or one of several parts, without those that are none; None where it is neither."""
    match content:
        case str():
            return storable(content)
        case bool() | None:
            return None
        case int() | float():
            return str(content)  # answers of training sets that only count
        case list():
            texts = [_part(part) for part in content]
            return "\n".join(text for text in texts if text) or _stands_for(content)
        case dict():
            inner = next((content[key] for key in ("parts", "text", "content", "value") if key in content), None)
            return text_of(inner) if isinstance(inner, str | list) else _stands_for([content]) or None
    return None


def shown_instead(message: Mapping[str, Any]) -> str:
    """What stands for the pictures and files beside a message that has no words; empty without any."""
    beside = [message.get(key) for key in ("attachments", "files", "images", "image")]
    return "[file]" if any(beside[:2]) else "[image]" if any(beside[2:]) else ""


def words(value: Any) -> str:
    """A text, or none."""
    return storable(value) if isinstance(value, str) else ""


def time_of(value: Any) -> float | None:
    """Seconds since 1970: of a number, which may be thousandths or less of a second, or of a date as ISO writes it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _LATEST * 1e9:
        return None
    while value >= _LATEST:
        value /= 1000
    return float(value)


def _speaker(value: Mapping[str, Any]) -> Role | Literal["system", "tool"] | None:
    for key in _ROLE_KEYS:
        name = value.get(key)
        if isinstance(name, dict):
            name = name.get("role")
        if (says := speaker_of(name)) is not None:
            return says
    return None


def _part(part: Any) -> str:
    if isinstance(part, str):
        return storable(part)
    if not isinstance(part, dict) or _is_silent(part):
        return ""
    text = part.get("text", part.get("content"))
    if isinstance(text, dict):
        text = text.get("value")
    return words(text)


def _stands_for(parts: list[Any]) -> str:
    """What stands for the first part that is a picture or the like; empty where none is."""
    for part in parts:
        kind = _kind(part) if isinstance(part, dict) and not _is_silent(part) else ""
        for name, shown in _SHOWN.items():
            if name in kind:
                return shown
    return ""


def _is_silent(part: Mapping[str, Any]) -> bool:
    kind = _kind(part)
    return any(name in kind for name in _SILENT) and not words(part.get("text") if "transcription" in kind else None)


def _kind(part: Mapping[str, Any]) -> str:
    """As a part names it, else by the names of its fields."""
    named = words(part.get("type")) or words(part.get("content_type")) or " ".join(map(str, part))
    return named.lower()[:200]
