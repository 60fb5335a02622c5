"""Which conversation a tab shows: the one that its address names, so that a reload and a bookmark find it again."""

import secrets
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.replies import get_replies
from components.engine.interface import EngineInfo
from components.store.errors import ConflictError, NotFoundError, StoreError
from components.ui.chat.sliders import show_controls, show_in_address, shown_controls
from components.ui.focus import request_focus, request_page
from components.ui.reader import current_reader

URL_NAME = "c"

HIT = "search_hit"
"""The key of the box around the message that was searched for."""

_CHAT = "chat"
_WANTED = "wanted_chat"
_SESSION = "session_reader"


@dataclass(frozen=True)
class _Wanted:
    """The conversation to open, and the message to show in it."""

    conversation: str
    message: int | None


def current_chat(info: EngineInfo) -> Chat:
    """The conversation that was asked for, else the one that the address names, or a new one.

    Raises:
        NotFoundError: there is no such conversation, or it is somebody else's.
        StoreError: it cannot be read at present.
    """
    asked: _Wanted | None = st.session_state.pop(_WANTED, None)
    wanted = asked.conversation if asked else st.query_params.get(URL_NAME)
    chat: Chat | None = st.session_state.get(_CHAT)
    if chat is not None and wanted == _named(chat):
        chat.refresh()
    elif not wanted:
        chat = Chat.new(current_asker(), get_replies())
    else:
        chat = _open(wanted, info)
    st.session_state[_CHAT] = chat
    if asked is not None and asked.message is not None:
        try:
            chat.find(asked.message)
        except NotFoundError:
            pass  # deleted since it was found
        except StoreError as error:
            chat.problem = str(error)
    return chat


def name_in_address(chat: Chat) -> None:
    """Once a conversation is kept, the address names it."""
    if (name := _named(chat)) is not None and st.query_params.get(URL_NAME) != name:
        st.query_params[URL_NAME] = name


def open_chat(conversation: str, message: int | None = None) -> None:
    """For callbacks: show this conversation, and this message in it, in the script run that follows."""
    _remember_controls()
    st.session_state[_WANTED] = _Wanted(conversation, message)
    request_page()
    if message is not None:
        request_focus(HIT, into_view=True)


def open_new_chat() -> None:
    """For callbacks: begin anew. What is written meanwhile is written to its end."""
    _remember_controls()
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


def _open(conversation: str, info: EngineInfo) -> Chat:
    is_first = _CHAT not in st.session_state
    try:
        chat = Chat.open(current_asker(), get_replies(), conversation)
    except (NotFoundError, StoreError):
        st.query_params[URL_NAME] = conversation  # a reload tries again
        raise
    # In a tab that was just opened, the address may say how to sample: a link carries that, too.
    show_controls(chat.conversation, info, keep_address=is_first)
    if not is_first:
        show_in_address(URL_NAME, conversation, info)
    return chat


def _remember_controls() -> None:
    """Before another conversation is opened: what a slider was moved to is known since this click only."""
    chat: Chat | None = st.session_state.get(_CHAT)
    controls = shown_controls()
    if chat is not None and controls is not None:
        with suppress(StoreError, NotFoundError, ConflictError):
            chat.remember(controls)


def _named(chat: Chat) -> str | None:
    return None if chat.is_new else chat.conversation.id


def _session_reader() -> str:
    """Who has no cookie has conversations for as long as the tab is open, and nobody else sees them."""
    if _SESSION not in st.session_state:
        st.session_state[_SESSION] = f"session:{secrets.token_urlsafe(16)}"
    return str(st.session_state[_SESSION])
