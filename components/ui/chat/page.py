"""The chat page: the sidebar, the conversation, the input."""

import streamlit as st

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.engine.host import Failed, Loading, Ready, engine_host
from components.engine.interface import Engine
from components.settings import get_settings
from components.store.errors import ConflictError, FullError, NotFoundError, StoreError
from components.ui.chat.actions import QUESTION, perform_requested, request_question
from components.ui.chat.bin import draw_undo
from components.ui.chat.chat_list import draw_chat_list
from components.ui.chat.context_strip import draw_context_strip
from components.ui.chat.dialogs import draw_requested, request_dialog
from components.ui.chat.history import draw_history, draw_welcome
from components.ui.chat.notices import draw_not_shown, draw_unkept
from components.ui.chat.opening import current_chat, name_in_address, open_new_chat
from components.ui.chat.shared_copy import draw_copy_question
from components.ui.chat.sidebar import draw_sidebar
from components.ui.lab.passage import draw_lab_link, restore_controls
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
    try:
        chat = current_chat(engine.info)
    except (StoreError, NotFoundError) as error:
        draw_not_shown(error, texts)
        return
    restore_controls(chat, engine.info)
    controls, chats_tab = draw_sidebar(chat, engine.info, texts, open_new_chat)
    with st.sidebar:
        draw_lab_link(controls, texts)
        if current_reader().is_owner:
            draw_operations_link()
    try:
        chat.remember(controls)
        is_full = not _perform_requested(engine, chat, controls)
    except (StoreError, NotFoundError, ConflictError) as error:
        draw_not_shown(error, texts)
        return
    name_in_address(chat)
    with chats_tab:
        draw_chat_list(chat, texts)  # with what was asked just now
        st.button(
            texts.mine.title,
            key="my_data",
            icon=":material/database:",
            type="tertiary",
            on_click=request_dialog,
            args=("my_data",),
        )
    if draw_copy_question(chat, texts):
        return
    has_dialog = draw_requested(chat, texts)
    context = chat.context(engine, controls)
    note_slot, stop_slot = st.bottom.empty(), st.bottom.empty()
    if context:
        with st.bottom:
            draw_context_strip(chat, context, controls, engine, texts)
    st.chat_input(
        texts.ask,
        key=QUESTION,
        max_chars=get_settings().max_question_chars,
        on_submit=request_question,
    )
    if context and context.first:
        note_slot.caption(texts.forgotten.format(length=engine.info.context_length))
    if engine.info.is_demo:
        st.info(texts.demo.format(model=engine.info.model), icon=":material/science:")
    if is_full:
        st.warning(texts.full, icon=":material/inventory_2:")
    draw_unkept(chat, texts)
    draw_undo(chat, texts)
    if not chat.shown:
        draw_welcome(texts)
    if chat.writing is not None:
        with stop_slot.container(horizontal=True, horizontal_alignment="center"):
            st.button(texts.stop, key="stop", icon=":material/stop_circle:", on_click=chat.stop)
    draw_history(chat, engine, context.first if context else None, texts, follow=not has_dialog)
    if has_dialog:
        return
    stop_slot.empty()
    if chat.context(engine, controls) != context:
        st.rerun()  # the reply that has just ended pushed an older one out


def _perform_requested(engine: Engine, chat: Chat, controls: Controls) -> bool:
    """Whether there was room for what the reader asked for, if it was anything."""
    try:
        perform_requested(engine, chat, controls)
    except FullError:
        return False
    return True
