"""The chat page: the sidebar, the conversation, the input."""

import streamlit as st

from components.engine.host import Failed, Loading, Ready, engine_host
from components.engine.interface import Engine
from components.settings import get_settings
from components.ui.chat.actions import perform_requested, request_question
from components.ui.chat.conversation import Conversation
from components.ui.chat.history import draw_history, draw_welcome
from components.ui.chat.sidebar import draw_sidebar
from components.ui.language import current_texts
from components.ui.operations.page import draw_operations_link
from components.ui.reader import current_reader
from components.ui.startup import draw_failed, draw_loading
from components.ui.texts import Texts


def show_chat() -> None:
    """Show what there is to show: the chat, or why there is none yet."""
    texts = current_texts()
    host = engine_host()
    match host.state:
        case Ready(engine):
            draw_chat(engine, texts)
        case Loading():
            draw_loading(host, texts)
        case Failed(message):
            draw_failed(message, host, texts)


def draw_chat(engine: Engine, texts: Texts) -> None:
    """The sidebar, the conversation, the input."""
    conversation = current_conversation()
    controls = draw_sidebar(engine.info, conversation, texts)
    if current_reader().is_owner:
        with st.sidebar:
            draw_operations_link()
    perform_requested(engine, conversation, controls)
    forgotten = conversation.forgotten(engine, controls)
    note_slot, stop_slot = st.bottom.empty(), st.bottom.empty()
    st.chat_input(
        texts.ask,
        key="question",
        max_chars=get_settings().max_question_chars,
        on_submit=request_question,
        args=("question",),
    )
    if forgotten:
        note_slot.caption(texts.forgotten.format(length=engine.info.context_length))
    if engine.info.is_demo:
        st.info(texts.demo.format(model=engine.info.model), icon=":material/science:")
    if not conversation.exchanges:
        draw_welcome(texts)
    if conversation.writing:
        with stop_slot.container(horizontal=True, horizontal_alignment="center"):
            st.button(texts.stop, key="stop", icon=":material/stop_circle:", on_click=conversation.stop)
    draw_history(conversation, engine, forgotten, texts)
    stop_slot.empty()
    if conversation.forgotten(engine, controls) != forgotten:
        st.rerun()  # the reply that has just ended pushed an older one out


def current_conversation() -> Conversation:
    """This reader's own conversation."""
    if "conversation" not in st.session_state:
        reader = current_reader()
        st.session_state["conversation"] = Conversation(
            visitor=reader.account, limited=reader.is_limited, address=reader.address
        )
    conversation: Conversation = st.session_state["conversation"]
    return conversation
