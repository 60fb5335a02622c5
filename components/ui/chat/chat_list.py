"""The reader's conversations in the sidebar."""

import streamlit as st

from components.chats.chat import Chat
from components.store.conversations import Conversations
from components.store.errors import StoreError
from components.ui.chat.opening import open_chat
from components.ui.texts import Texts

LISTED = 20


def draw_chat_list(chat: Chat, texts: Texts) -> None:
    """A button for each of the newest conversations."""
    try:
        with chat.replies.database.reading() as connection:
            conversations = Conversations(connection, chat.asker.reader).list(LISTED)
    except StoreError:
        return  # the page says so
    if not conversations:
        return
    st.markdown(f"**{texts.chats}**")
    with st.container(gap="xxsmall"):
        for conversation in conversations:
            st.button(
                conversation.title,
                key=f"chat_{conversation.id}",
                type="secondary" if conversation.id == chat.conversation.id else "tertiary",
                width="stretch",
                on_click=open_chat,
                args=(conversation.id,),
            )
