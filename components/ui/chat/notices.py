"""What the page says when a conversation cannot be shown, or is not kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from components.chats.chat import Chat
from components.store.errors import ConflictError, NotFoundError, StoreError
from components.ui.chat.opening import open_new_chat
from components.ui.texts import Texts


def draw_not_shown(error: StoreError | NotFoundError | ConflictError, texts: Texts) -> None:
    """Why the conversation that the address names is not shown, and a way on."""
    st.title(texts.title, anchor=False)
    if isinstance(error, StoreError):
        st.warning(texts.store_away, icon=":material/cloud_off:")
        st.caption(str(error))
        st.button(texts.load_again, key="load_again", icon=":material/refresh:")
    else:  # somebody else's, or deleted, perhaps just now in another tab
        st.warning(texts.not_found, icon=":material/search_off:")
        st.button(texts.new_chat, icon=":material/edit_square:", key="new_chat", on_click=open_new_chat)


def draw_unkept(chat: Chat, texts: Texts) -> None:
    """That something is not kept at present, and why."""
    if (problem := chat.unkept or chat.problem) is not None:
        st.warning(texts.not_kept, icon=":material/cloud_off:")
        st.caption(problem)


@contextmanager
def told_if_unkept(texts: Texts) -> Iterator[None]:
    """For callbacks that change what is kept: the reader is told if that cannot be, and the rest is left out."""
    try:
        yield
    except NotFoundError:
        st.toast(texts.gone, icon=":material/search_off:")
    except StoreError as error:
        st.toast(f"{texts.not_changed} {error}", icon=":material/cloud_off:")
