"""A strip above the input that shows what the model sees, and lets the reader pin turns or leave them out."""

from collections.abc import Sequence

import streamlit as st
from streamlit.elements.lib.mutable_expander_container import ExpanderContainer

from components.chats.chat import Chat
from components.chats.context import Context
from components.chats.controls import Controls
from components.chats.records import turns_of
from components.engine.errors import EngineError
from components.engine.interface import Engine
from components.model.chat_format import Message as Turn
from components.store.rows import Message, Place
from components.ui.chat.icons import draw_icon_button
from components.ui.chat.notices import told_if_unkept
from components.ui.texts import Texts

BYTES_PER_TOKEN = 3
"""Of UTF-8, where the engine cannot count: a Chinese character, or most of an English word."""

LIST_HEIGHT = 220
"""In pixels; a phone's screen is to show something of the conversation as well."""

_STRIP = "context_strip"
"""In the session: the strip's label, whether it was open at first with it, and whether it is open."""

_COUNTED = "counted_tokens"
"""In the session: for each text that is shown, its tokens."""

Counted = tuple[int, bool]
"""How many tokens, and whether they were counted."""


def draw_context_strip(chat: Chat, context: Context, controls: Controls, engine: Engine, texts: Texts) -> None:
    """How many turns and tokens the model sees; opened, which ones."""
    last = chat.last
    assert last is not None
    # The last of all is a stand-in for the next question, unless one is being answered.
    seen = [message for message in context.messages if message.role == "user" and message.id <= last.id]
    tokens, is_counted = _count_conversation(engine, context, controls.system)
    about = "" if is_counted else "≈ "
    length = engine.info.context_length
    label = texts.sees.format(seen=len(seen), turns=last.depth // 2 + 1, tokens=f"{about}{tokens:,}", length=length)
    # Not a popover, which opens downwards, where there is no room.
    strip = _expander(label)
    if not strip.open:
        return
    with strip, st.container(height=LIST_HEIGHT, border=False):
        room = max(0, min(length - tokens, controls.sampling.max_new_tokens))
        st.caption(texts.room.format(tokens=f"{about}{room:,}"))
        st.caption(texts.turns_help)
        seen_ids = {message.id for message in context.messages}
        turns = _turns(chat, seen)
        with st.container(key="turns", gap="small"):
            for question, reply in turns:
                _draw_turn(chat, question, reply, question.id in seen_ids, engine, texts)
        _draw_rest(chat, seen, turns, texts)


def _expander(label: str) -> ExpanderContainer:
    """Open as the reader left it. For Streamlit, one with another label is another one, and opens as it is told to."""
    before: tuple[str, bool, bool] = st.session_state.get(_STRIP, ("", False, False))
    at_first = before[1] if before[0] == label else before[2]
    strip = st.expander(label, at_first, key="context", icon=":material/visibility:", on_change="rerun")
    st.session_state[_STRIP] = (label, at_first, bool(strip.open))
    return strip


def _draw_rest(
    chat: Chat, seen: Sequence[Message], listed: Sequence[tuple[Message, Message | None]], texts: Texts
) -> None:
    """How many turns from before the page are seen: a line, since a list of them would grow with the conversation."""
    listed_ids = {question.id for question, _ in listed}
    before = (chat.earlier + 1) // 2 - sum(question.depth < chat.earlier for question, _ in listed)
    if before > 0:
        seen_before = sum(question.id not in listed_ids for question in seen)
        st.caption(texts.rest_seen.format(turns=before, seen=seen_before))


def _turns(chat: Chat, seen: Sequence[Message]) -> list[tuple[Message, Message | None]]:
    """The questions that the page shows with their replies, and pinned ones from before them, the newest first."""
    replies = {message.parent: message for message in chat.shown if message.role == "assistant"}
    shown = [message for message in chat.shown if message.role == "user"]
    ids = {message.id for message in shown}
    before = [message for message in seen if message.place == "pinned" and message.id not in ids]
    return [(question, replies.get(question.id)) for question in reversed([*before, *shown])]


def _draw_turn(
    chat: Chat, question: Message, reply: Message | None, is_seen: bool, engine: Engine, texts: Texts
) -> None:
    counts = [_count(engine, message.text) for message in (question, reply) if message is not None]
    about = "" if all(is_counted for _, is_counted in counts) else "≈ "
    tokens = texts.tokens.format(tokens=f"{about}{sum(count for count, _ in counts):,}")
    with st.container(horizontal=True, wrap=False, gap="small", vertical_alignment="center"):
        with st.container(gap=None):
            st.text(_beginning(question.text))
            st.caption(f"{texts.seen if is_seen else texts.not_seen} · {tokens}")
        choices: tuple[tuple[Place, str, str], ...] = (
            ("pinned", "keep", texts.unpin_turn if question.place == "pinned" else texts.pin_turn),
            ("left_out", "visibility_off", texts.take_in if question.place == "left_out" else texts.leave_out),
        )
        for place, icon, label in choices:
            chosen = question.place == place
            put = (chat, question.id, "usual" if chosen else place, texts)
            draw_icon_button(icon, label, question.id, _put, put, kind="primary" if chosen else "tertiary")


def _put(chat: Chat, question: int, place: Place, texts: Texts) -> None:
    with told_if_unkept(texts):
        chat.put(question, place)


def _beginning(text: str) -> str:
    line = " ".join(text[:200].split())
    return line if len(line) <= 40 else line[:39] + "…"


def _count_conversation(engine: Engine, context: Context, system: str) -> Counted:
    """Counted once for as long as the model sees the same: ``Chat.context`` gives the same object until then.

    A context that is a guess is another object each time, so its tokens are counted as soon as that can be done.
    """
    kept = st.session_state.get("counted_context")
    if kept is None or kept[0] is not context or kept[1] != system:
        turns = turns_of(system, context.messages)
        kept = st.session_state["counted_context"] = (context, system, _tokens(engine, turns))
    counted: Counted = kept[2]
    return counted


def _count(engine: Engine, text: str) -> Counted:
    counted: dict[str, Counted] = st.session_state.setdefault(_COUNTED, {})
    if len(counted) > 1000:
        counted.clear()
    if text in counted:
        return counted[text]
    count = _tokens(engine, text)
    if count[1] or engine.failure is None:  # a guess that was made while the engine was down need not last
        counted[text] = count
    return count


def _tokens(engine: Engine, text: str | Sequence[Turn]) -> Counted:
    try:
        return len(engine.tokenize(text)), True
    except EngineError:
        texts = [text] if isinstance(text, str) else [turn["content"] for turn in text]
        return sum(len(one.encode()) // BYTES_PER_TOKEN + 1 for one in texts), False
