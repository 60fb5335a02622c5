"""Which conversation a tab shows: the one that its address names, so that a reload and a bookmark find it again."""

import secrets

import streamlit as st

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.replies import get_replies
from components.engine.interface import EngineInfo
from components.ui.chat.sliders import show_controls
from components.ui.focus import request_page
from components.ui.reader import current_reader

URL_NAME = "c"

_CHAT = "chat"
_SESSION = "session_reader"


def current_chat(info: EngineInfo) -> Chat:
    """The conversation that the address names, or a new one.

    Raises:
        NotFoundError: there is no such conversation, or it is somebody else's.
        StoreError: it cannot be read at present.
    """
    wanted = st.query_params.get(URL_NAME)
    chat: Chat | None = st.session_state.get(_CHAT)
    if chat is not None and wanted == _named(chat):
        chat.refresh()
        return chat
    if not wanted:
        return _hold(Chat.new(current_asker(), get_replies()))
    chat = Chat.open(current_asker(), get_replies(), wanted)
    # In a tab that was just opened, the address may say how to sample: a link carries that, too.
    show_controls(chat.conversation, info, keep_address=_CHAT not in st.session_state)
    return _hold(chat)


def name_in_address(chat: Chat) -> None:
    """Once a conversation is kept, the address names it."""
    if (name := _named(chat)) is not None and st.query_params.get(URL_NAME) != name:
        st.query_params[URL_NAME] = name


def open_chat(conversation: str) -> None:
    """For callbacks: show this conversation in the script run that follows."""
    st.query_params[URL_NAME] = conversation
    request_page()


def open_new_chat() -> None:
    """For callbacks: begin anew. What is written meanwhile is written to its end."""
    st.query_params.pop(URL_NAME, None)
    st.session_state.pop(_CHAT, None)
    request_page()


def current_asker() -> Asker:
    """The reader, as the store and the engine know them."""
    reader = current_reader()
    return Asker(
        reader.reader or _session_reader(),
        reader.account,
        reader.is_limited,
        reader.address,
    )


def _hold(chat: Chat) -> Chat:
    st.session_state[_CHAT] = chat
    return chat


def _named(chat: Chat) -> str | None:
    return None if chat.is_new else chat.conversation.id


def _session_reader() -> str:
    """Who has no cookie has conversations for as long as the tab is open, and nobody else sees them."""
    if _SESSION not in st.session_state:
        st.session_state[_SESSION] = f"session:{secrets.token_urlsafe(16)}"
    return str(st.session_state[_SESSION])
