"""What can be done with a single reply: copy it, say what one thinks of it, write it anew, see what it came from.

All of it is drawn once it is asked for: a page has many replies, and each would cost a read of the database.
"""

import streamlit as st

from components.chats.chat import Chat
from components.chats.records import finished_of
from components.engine.interface import Engine
from components.engine.receipts import Receipt
from components.store.errors import StoreError
from components.store.rows import Message, Reply
from components.ui.chat.actions import Action, request_action
from components.ui.chat.icons import KEY
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.receipt import draw_receipt
from components.ui.chat.speed import draw_speed
from components.ui.texts import Texts

MAX_NOTE = 1000

WIDTH = 320
"""Of the menu, in pixels: what a phone has room for."""

LONG = 300
LONG_HEIGHT = 160
"""A text of more characters is scrolled through, in so many pixels."""

RESUMABLE = ("length", "time", "cancelled", "cut", "failed")
"""Ends behind which a reply may go on."""


def can_be_resumed(message: Message) -> bool:
    """Whether a reply may be written on."""
    return message.reply is not None and message.reply.end in RESUMABLE and bool(message.text)


def draw_reply_menu(chat: Chat, message: Message, reply: Reply, engine: Engine, texts: Texts) -> None:
    """A button that opens what can be done with ``message``."""
    menu = st.popover(
        texts.more,
        key=f"{KEY}menu_{message.id}",
        icon=":material/more_horiz:",
        type="tertiary",
        on_change="rerun",
    )
    if not menu.open:
        return
    # Over wide code the menu would become as wide as the page, in a place that was found while it was empty.
    with menu, st.container(width=WIDTH):
        _draw_rating(chat, message, texts)
        if chat.last is None or message.id != chat.last.id:  # the last reply has these below it
            _draw_rewriting(message, texts)
        if message.text:
            st.caption(texts.markdown)
            st.code(message.text, language=None, height=LONG_HEIGHT if len(message.text) > LONG else "content")
        if finished_of(reply) is not None:
            draw_speed(message, reply, texts)
        if "receipt" in reply.record and (receipt := _receipt(chat, message)) is not None:
            draw_receipt(receipt, message.id, engine, texts)


def _draw_rating(chat: Chat, message: Message, texts: Texts) -> None:
    with st.container(horizontal=True, gap="small"):
        for rating, icon, label in ((1, "thumb_up", texts.good), (-1, "thumb_down", texts.poor)):
            chosen = message.rating == rating
            st.button(
                label,
                key=f"{icon}_{message.id}",
                icon=f":material/{icon}:",
                type="primary" if chosen else "secondary",
                on_click=_rate,
                args=(chat, message, 0 if chosen else rating, texts),
            )
    if message.rating:
        key = f"note_{message.id}"
        st.text_input(
            texts.note,
            message.note,
            key=key,
            max_chars=MAX_NOTE,
            on_change=_note,
            args=(chat, message, key, texts),
        )


def _rate(chat: Chat, message: Message, rating: int, texts: Texts) -> None:
    with told_if_unkept(texts):
        chat.rate(message.id, rating, message.note if rating else "")


def _note(chat: Chat, message: Message, key: str, texts: Texts) -> None:
    with told_if_unkept(texts):
        chat.rate(message.id, message.rating, st.session_state[key].strip())


def _draw_rewriting(message: Message, texts: Texts) -> None:
    st.button(
        texts.regenerate_here,
        key=f"regenerate_{message.id}",
        icon=":material/refresh:",
        width="stretch",
        on_click=request_action,
        args=(Action("regenerate", message=message.id),),
    )
    if can_be_resumed(message):
        st.button(
            texts.resume_here,
            key=f"resume_{message.id}",
            icon=":material/more_horiz:",
            width="stretch",
            on_click=request_action,
            args=(Action("resume", message=message.id),),
        )


def _receipt(chat: Chat, message: Message) -> Receipt | None:
    try:
        return chat.receipt(message)
    except StoreError:
        return None
