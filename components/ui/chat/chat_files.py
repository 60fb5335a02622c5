"""The conversation that is shown, as files."""

from functools import partial

import streamlit as st

from components.chats.chat import Chat
from components.chats.exporting import export_json, export_markdown, file_name
from components.ui.texts import Texts


def draw_chat_downloads(chat: Chat, texts: Texts) -> None:
    """Buttons that make a file when they are pressed: the branch for people, and the whole tree to keep."""
    for label, export, ending, kind in (
        (texts.mine.as_markdown, export_markdown, "md", "text/markdown"),
        (texts.mine.as_json, export_json, "json", "application/json"),
    ):
        st.download_button(
            label,
            partial(export, chat),
            file_name=file_name(chat.conversation.title, ending),
            mime=kind,
            key=f"download_{ending}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )
