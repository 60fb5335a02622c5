"""Conversations as other programs write them: training sets and ChatGPT."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from components.chats.file_format import ConversationEntry, MessageEntry, ReplyEntry
from components.chats.import_errors import ImportFileError, at
from components.store.rows import Role
from components.store.texts import storable

_ROLES: Mapping[str, Role | None] = {
    "system": None,
    "developer": None,
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""By the names that such files have. None: it is told beforehand."""

_LATEST = 1e11
"""Seconds since 1970; what is later, or no number, is no time."""


def read_training(place: str, value: dict[str, Any]) -> ConversationEntry:
    """``{"messages": [{"role": "user", "content": "…"}]}``: OpenAI's form, which most training sets have.

    Raises:
        ImportFileError: it is wrong somewhere.
    """
    return _read_line(place, value, "messages", "role", "content")


def read_sharegpt(place: str, value: dict[str, Any]) -> ConversationEntry:
    """``{"conversations": [{"from": "human", "value": "…"}]}``: ShareGPT's form.

    Raises:
        ImportFileError: it is wrong somewhere.
    """
    return _read_line(place, value, "conversations", "from", "value")


def read_chatgpt(place: str, value: dict[str, Any]) -> ConversationEntry:
    """One conversation of ChatGPT's export: a tree of nodes, of which some are shown nowhere.

    Raises:
        ImportFileError: it is no tree.
    """
    mapping = value["mapping"]
    if not isinstance(mapping, dict) or not all(isinstance(node, dict) for node in mapping.values()):
        raise ImportFileError(f"{at(place, 'mapping')} must be an object of objects.")
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for name, node in mapping.items():
        parent = node.get("parent")
        children[parent if isinstance(parent, str) and parent in mapping else None].append(name)
    messages: list[MessageEntry] = []
    kept_at: dict[str, int | None] = {}
    waiting: list[tuple[str, int | None]] = [(name, None) for name in reversed(children[None])]
    while waiting:
        name, parent_id = waiting.pop()
        kept_at[name] = parent_id
        if (message := _chatgpt_message(mapping[name].get("message"), len(messages) + 1, parent_id)) is not None:
            messages.append(message)
            kept_at[name] = message.id
        waiting.extend((child, kept_at[name]) for child in reversed(children[name]))
    if len(kept_at) < len(mapping):
        lost = next(name for name in mapping if name not in kept_at)
        raise ImportFileError(f"{at(place, 'mapping', storable(lost)[:80])} follows itself.")
    current = value.get("current_node")
    return ConversationEntry(
        title=_text(value.get("title")),
        created=_time(value.get("create_time")),
        changed=_time(value.get("update_time")),
        shown=kept_at.get(current) if isinstance(current, str) else None,
        messages=messages,
    )


def _read_line(place: str, value: dict[str, Any], key: str, role_key: str, text_key: str) -> ConversationEntry:
    items = value[key]
    if not isinstance(items, list):
        raise ImportFileError(f"{at(place, key)} must be a list.")
    messages: list[MessageEntry] = []
    system = [value["system"]] if isinstance(value.get("system"), str) else []
    for number, item in enumerate(items):
        where = at(place, key, number)
        if not isinstance(item, dict):
            raise ImportFileError(f"{where} must be an object.")
        role, text = item.get(role_key), _parts(item.get(text_key))
        if not isinstance(role, str) or role not in _ROLES:
            raise ImportFileError(f"{at(where, role_key)} must be one of: {', '.join(_ROLES)}.")
        if text is None:
            raise ImportFileError(f"{at(where, text_key)} must be a text.")
        if (speaker := _ROLES[role]) is None:
            system.append(text)
        else:
            messages.append(
                MessageEntry(id=number, parent=messages[-1].id if messages else None, role=speaker, text=text)
            )
    return ConversationEntry(title=_text(value.get("title")), system="\n\n".join(system), messages=messages)


def _chatgpt_message(message: Any, number: int, parent: int | None) -> MessageEntry | None:
    """What a node shows; None when it shows nothing: tools, instructions, pictures."""
    if not isinstance(message, dict):
        return None
    author, metadata = _object(message.get("author")), _object(message.get("metadata"))
    content = _object(message.get("content"))
    role = author.get("role")
    text = _parts(content.get("parts"))
    if role not in ("user", "assistant") or metadata.get("is_visually_hidden_from_conversation") or not text:
        return None
    reply = ReplyEntry(end="stop", model=_text(metadata.get("model_slug"))) if role == "assistant" else None
    created = _time(message.get("create_time"))
    return MessageEntry(id=number, parent=parent, role=role, text=text, created=created, reply=reply)


def _parts(content: Any) -> str | None:
    """A text, or one of several parts, of which those that are no text are left out."""
    if isinstance(content, str):
        return storable(content)
    if not isinstance(content, list):
        return None
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return storable("\n".join(text for text in texts if isinstance(text, str)))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return storable(value) if isinstance(value, str) else ""


def _time(value: Any) -> float | None:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST
    return float(value) if is_time else None
