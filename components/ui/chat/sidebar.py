"""The sidebar: a new chat, the language, how to sample, the system prompt, and what is running."""

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.engine.interface import EngineInfo
from components.ui.chat.controls import draw_controls
from components.ui.language import draw_language_switch
from components.ui.reader import draw_sign_out
from components.ui.texts import Texts


def draw_sidebar(
    chat: Chat, info: EngineInfo, texts: Texts, on_new_chat: Callable[[], None]
) -> tuple[Controls, DeltaGenerator]:
    """Draw the sidebar; gives what its settings say, and where the conversations are to be listed.

    Two tabs, since one below the other neither the sliders nor the conversations would be in sight.
    """
    with st.sidebar:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.button(texts.new_chat, icon=":material/edit_square:", key="new_chat", on_click=on_new_chat)
            draw_language_switch(texts)
        settings, chats = st.tabs([texts.sampling, texts.chats])
        with settings:
            controls = draw_controls(chat, info, texts)
        st.caption(_about(info, texts))
        draw_sign_out(texts)
    return controls, chats


def _about(info: EngineInfo, texts: Texts) -> str:
    return texts.about.format(model=info.model, device=info.device, dtype=info.dtype, context=info.context_length)
