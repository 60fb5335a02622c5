"""Conversations as other chats export them: ChatGPT's and Open WebUI's trees, and Claude's lists."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.chats.file_format import ConversationEntry, MessageEntry, ReplyEntry
from components.chats.import_errors import ImportFileError, Place
from components.chats.turns import Turn, read_turn, shown_instead, speaker_of, text_of, time_of, words

_CHATGPT_SPOKEN = ("text", "multimodal_text")
"""Kinds of what ChatGPT says to its reader; others are code for tools, thoughts, and what it knows of the reader."""


_NO_UUID = "00000000-"
"""What Claude's messages follow that are the first."""


@dataclass(frozen=True)
class _Said:
    """A turn with what is known of it."""

    turn: Turn
    created: float | None = None
    model: str = ""


@dataclass
class _Tree:
    """Messages as they are found, each behind the last one above it that shows something.

    Attributes:
        messages: with numbers from 1 on.
        number: by the name of each node, that of the message that stands there or above; None above the first.
        system: what the model is told beforehand.
    """

    messages: list[MessageEntry] = field(default_factory=list)
    number: dict[str, int | None] = field(default_factory=dict)
    system: list[str] = field(default_factory=list)

    def add(self, name: str, parent: int | None, said: _Said | None) -> None:
        """Put a node behind the message ``parent``."""
        self.number[name] = parent
        if said is None:
            return
        if said.turn.says == "system":
            self.system.append(said.turn.text)
        elif said.turn.says != "tool":
            reply = ReplyEntry(end="stop", model=said.model) if said.turn.says == "assistant" else None
            self.number[name] = number = len(self.messages) + 1
            self.messages.append(
                MessageEntry(
                    id=number,
                    parent=parent,
                    role=said.turn.says,
                    text=said.turn.text,
                    created=said.created,
                    reply=reply,
                )
            )

    def entry(self, title: Any, created: Any, changed: Any, shown: Any, system: Any = None) -> ConversationEntry:
        """The conversation; ``shown`` is the name of the node at the end of the branch that was shown."""
        return ConversationEntry(
            title=words(title),
            system="\n\n".join(filter(None, [words(system), *self.system])),
            created=time_of(created),
            changed=time_of(changed),
            shown=self.number.get(shown) if isinstance(shown, str) else None,
            messages=self.messages,
        )


def read_chatgpt(place: Place, value: dict[str, Any]) -> ConversationEntry:
    """One conversation of ChatGPT's export: a tree of nodes, of which some are shown nowhere.

    Raises:
        ImportFileError: it is no tree.
    """
    tree = _read_tree(place.at("mapping"), value["mapping"], "parent", lambda node, _: _chatgpt(node.get("message")))
    return tree.entry(value.get("title"), value.get("create_time"), value.get("update_time"), value.get("current_node"))


def read_open_webui(place: Place, value: dict[str, Any]) -> ConversationEntry:
    """One of Open WebUI's: ``{"chat": {"history": {"messages": {…}, "currentId": …}}}``, or what ``chat`` holds.

    Raises:
        ImportFileError: it is no tree.
    """
    chat = _object(value.get("chat")) or value
    history = _object(chat.get("history"))
    where = place.at("chat", "history", "messages") if "chat" in value else place.at("history", "messages")
    tree = _read_tree(where, history.get("messages"), "parentId", _open_webui)
    system = chat.get("system") or _object(chat.get("params")).get("system")
    created, changed = value.get("created_at"), value.get("updated_at")
    title = value.get("title") or chat.get("title")
    return tree.entry(title, created or chat.get("timestamp"), changed, history.get("currentId"), system)


def read_claude(place: Place, value: dict[str, Any]) -> ConversationEntry:
    """One of Claude's: ``{"name": …, "chat_messages": [{"sender": "human", "text": …}]}``.

    Raises:
        ImportFileError: it is wrong somewhere.
    """
    items = value["chat_messages"]
    where = place.at("chat_messages")
    if not isinstance(items, list):
        raise ImportFileError("no_list", where)
    tree = _Tree()
    last: int | None = None
    for number, item in enumerate(items):
        turn = read_turn(where.at(number), item)
        above = item.get("parent_message_uuid")
        is_first = isinstance(above, str) and above.startswith(_NO_UUID)
        parent = None if is_first else tree.number.get(above, last) if isinstance(above, str) else last
        name = words(item.get("uuid")) or str(number)
        tree.add(name, parent, _Said(turn, time_of(item.get("created_at"))) if turn else None)
        last = tree.number[name]
    shown = value.get("current_leaf_message_uuid")
    return tree.entry(value.get("name"), value.get("created_at"), value.get("updated_at"), shown)


def _read_tree(
    place: Place, nodes: Any, parent_key: str, read: Callable[[dict[str, Any], Place], _Said | None]
) -> _Tree:
    """A tree whose nodes say by name what they follow.

    Raises:
        ImportFileError: it is none.
    """
    if not isinstance(nodes, dict) or not all(isinstance(node, dict) for node in nodes.values()):
        raise ImportFileError("no_object", place)
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for name, node in nodes.items():
        parent = node.get(parent_key)
        children[parent if isinstance(parent, str) and parent in nodes else None].append(name)
    tree = _Tree()
    waiting: list[tuple[str, int | None]] = [(name, None) for name in reversed(children[None])]
    while waiting:
        name, above = waiting.pop()
        tree.add(name, above, read(nodes[name], place.at(name)))
        waiting.extend((child, tree.number[name]) for child in reversed(children[name]))
    if len(tree.number) < len(nodes):
        raise ImportFileError("circle", place.at(next(name for name in nodes if name not in tree.number)))
    return tree


def _chatgpt(message: Any) -> _Said | None:
    """What a node shows; None when it shows nothing: tools, what is said to them, and instructions."""
    message = _object(message)
    author, metadata, content = message.get("author"), _object(message.get("metadata")), message.get("content")
    says = speaker_of(author.get("role") if isinstance(author, dict) else author) or speaker_of(message.get("role"))
    if says not in ("user", "assistant") or metadata.get("is_visually_hidden_from_conversation"):
        return None
    if message.get("recipient") not in (None, "", "all"):
        return None
    if isinstance(content, dict) and content.get("content_type", "text") not in _CHATGPT_SPOKEN:
        return None
    text = text_of(content) or shown_instead(metadata)
    if not text:
        return None
    return _Said(Turn(says, text), time_of(message.get("create_time")), words(metadata.get("model_slug")))


def _open_webui(node: dict[str, Any], place: Place) -> _Said | None:
    turn = read_turn(place, node)
    model = words(node.get("modelName")) or words(node.get("model"))
    return _Said(turn, time_of(node.get("timestamp")), model) if turn else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
