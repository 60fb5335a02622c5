"""``?copy=ID``: whoever wants to go on with what somebody shared is asked, and gets a copy of their own."""

import streamlit as st

from components.chats.chat import Chat
from components.chats.drafts import keep
from components.chats.sharing import copy_of, shared_as
from components.store.errors import ConflictError, FullError, NotFoundError, StoreError
from components.store.shares import Share
from components.ui.chat.opening import open_chat
from components.ui.texts import Texts
from components.web.shared import COPY_NAME


def draw_copy_question(chat: Chat, texts: Texts) -> bool:
    """Ask, if the address says so; gives whether it does. An address alone, which anybody can send, copies nothing."""
    wanted = st.query_params.get(COPY_NAME)
    if not wanted:
        return False
    share_texts = texts.share
    st.title(share_texts.copy_title, anchor=False)
    try:
        shared = shared_as(chat.replies.database, wanted)
    except NotFoundError:
        st.warning(share_texts.copy_gone, icon=":material/search_off:")
    except StoreError as error:
        st.warning(texts.store_away, icon=":material/cloud_off:")
        st.caption(str(error))
    else:
        st.text(shared.title or texts.title)
        st.markdown(share_texts.copy_about.format(count=len(shared.content)))
        with st.container(horizontal=True, gap="small"):
            st.button(
                share_texts.copy,
                key="copy_shared",
                type="primary",
                icon=":material/content_copy:",
                on_click=_copy,
                args=(chat, shared, texts),
            )
            _draw_no_copy(texts)
        return True
    _draw_no_copy(texts)
    return True


def _draw_no_copy(texts: Texts) -> None:
    st.button(texts.share.no_copy, key="no_copy", on_click=_forget)


def _copy(chat: Chat, shared: Share, texts: Texts) -> None:
    draft = copy_of(shared)
    try:
        keep(chat.replies.database, chat.asker, [draft])
    except FullError:
        st.toast(texts.full, icon=":material/error:")
        return
    except (StoreError, ConflictError):
        st.toast(texts.not_changed, icon=":material/cloud_off:")
        return
    _forget()
    open_chat(draft.conversation.id)


def _forget() -> None:
    st.query_params.pop(COPY_NAME, None)
