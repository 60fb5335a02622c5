"""Conversations that were thrown away: the way back at once, and for a month in the dialog with all that is mine."""

from collections.abc import Callable, Sequence
from datetime import datetime

import streamlit as st

from components.chats.chat import Chat
from components.store.conversations import Conversations
from components.store.rows import Conversation
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.opening import open_chat, open_new_chat
from components.ui.chat.zone import reader_zone
from components.ui.focus import request_focus
from components.ui.texts import Texts

_UNDO = "undo_delete"
_DELETED = "deleted_chat"
"""In the session: the conversation that was just deleted."""


def throw_away(chat: Chat, texts: Texts) -> None:
    """For callbacks: throw the shown conversation away; what is written in it stops."""
    chat.replies.cancel_all(chat.conversation.id)
    with told_if_unkept(texts):
        with chat.replies.database.writing() as connection:
            Conversations(connection, chat.asker.reader).delete(chat.conversation.id)
        st.session_state[_DELETED] = chat.conversation
        open_new_chat()
        request_focus(_UNDO)


def draw_undo(chat: Chat, texts: Texts) -> None:
    """For as long as nothing else is opened: the way back for a conversation that was just deleted."""
    deleted: Conversation | None = st.session_state.get(_DELETED)
    if deleted is None:
        return
    if not chat.is_new:
        del st.session_state[_DELETED]
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(texts.deleted)
        st.text(deleted.title)
        st.button(texts.undo, key=_UNDO, icon=":material/undo:", on_click=_restore, args=(chat, deleted.id, texts))


def draw_bin(chat: Chat, deleted: Sequence[Conversation], texts: Texts, on_restored: Callable[[], None]) -> None:
    """A list of what was thrown away, the last one first, each with a way back."""
    if not deleted:
        return
    with st.expander(texts.mine.bin.format(count=len(deleted)), icon=":material/restore_from_trash:", key="bin"):
        for one in deleted:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                with st.container(gap=None):
                    st.text(one.title)
                    if one.deleted is not None:
                        st.caption(f"{datetime.fromtimestamp(one.deleted, reader_zone()):%Y-%m-%d %H:%M}")
                st.button(
                    texts.mine.restore,
                    key=f"restore_{one.id}",
                    on_click=_restore,
                    args=(chat, one.id, texts, on_restored),
                )


def _restore(chat: Chat, conversation: str, texts: Texts, on_restored: Callable[[], None] | None = None) -> None:
    with told_if_unkept(texts):
        with chat.replies.database.writing() as connection:
            Conversations(connection, chat.asker.reader).restore(conversation)
        open_chat(conversation)
        if on_restored is not None:
            on_restored()
