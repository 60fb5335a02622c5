"""The reader's conversations in the sidebar: by day, searched, renamed, pinned, deleted."""

from datetime import date, datetime, timedelta
from itertools import groupby

import streamlit as st
from sqlalchemy import Connection

from components.chats.chat import Chat
from components.chats.titles import LONGEST_TITLE
from components.markdown.escaping import escape_label, escape_line_start, escape_text
from components.store.conversations import Conversations
from components.store.errors import StoreError
from components.store.rows import Conversation
from components.ui.chat.bin import throw_away
from components.ui.chat.chat_files import draw_chat_downloads
from components.ui.chat.dialogs import menu_key, request_dialog
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.opening import open_chat
from components.ui.chat.zone import reader_zone
from components.ui.texts import Texts

LISTED = 20
"""So many conversations are listed at first; a button lists as many more."""

FOUND = 20
"""So many are shown of what was found at first; a button shows as many more."""

MAX_SEARCH = 200

_CHATS = "chats"

_LISTED = "listed_chats"
_SEARCH = "search"
_FOUND = "found_chats"
"""In the session: what was searched for when more was asked for, and how many are shown of it."""

_TITLE = "title"


def draw_chat_list(chat: Chat, texts: Texts) -> None:
    """What there is to go back to, below a field to search it."""
    limit: int = st.session_state.get(_LISTED, LISTED)
    try:
        with chat.replies.database.reading() as connection:
            conversations = Conversations(connection, chat.asker.reader).list(limit + 1)
    except StoreError:
        return  # the page says so
    if not conversations:
        st.caption(texts.no_chats)
        return
    words = st.text_input(
        texts.search,
        key=_SEARCH,
        type="search",
        placeholder=texts.search,
        max_chars=MAX_SEARCH,
        label_visibility="collapsed",
        icon=":material/search:",
    )
    if words and words.strip():
        _draw_found(chat, words, texts)
        return
    if not chat.is_new:
        _draw_menu(chat, texts)
    with st.container(gap="xxsmall", key=_CHATS):
        for day, group in groupby(conversations[:limit], lambda one: _day(one, texts)):
            st.caption(day)
            for conversation in group:
                _draw_one(conversation, chat)
        if len(conversations) > limit:
            st.button(texts.more_chats, key="more_chats", type="tertiary", on_click=_list_more, args=(limit,))


def _draw_one(conversation: Conversation, chat: Chat) -> None:
    is_shown = not chat.is_new and conversation.id == chat.conversation.id
    st.button(
        escape_label(conversation.title),
        key=f"chat_{conversation.id}",
        icon=":material/keep:" if conversation.pinned else None,
        type="secondary" if is_shown else "tertiary",
        width="stretch",
        on_click=open_chat,
        args=(conversation.id,),
    )


def _draw_found(chat: Chat, words: str, texts: Texts) -> None:
    searched, limit = st.session_state.get(_FOUND, ("", 0))
    limit = limit if searched == words else FOUND
    try:
        with chat.replies.database.reading() as connection:
            found = Conversations(connection, chat.asker.reader).search(words, limit + 1)
    except StoreError as error:
        st.caption(f"{texts.store_away} {error}")
        return
    if not found:
        st.caption(texts.nothing_found)
    for number, one in enumerate(found[:limit]):
        st.button(
            escape_label(one.conversation.title),
            key=f"found_{number}",
            type="tertiary",
            width="stretch",
            on_click=open_chat,
            args=(one.conversation.id, one.message),
        )
        st.caption(escape_line_start(escape_text(one.excerpt)))
    if len(found) > limit:
        st.button(texts.more_found, key="more_found", type="tertiary", on_click=_find_more, args=(words, limit))


def _draw_menu(chat: Chat, texts: Texts) -> None:
    conversation = chat.conversation
    with st.popover(
        texts.this_chat,
        key=menu_key(),
        icon=":material/more_horiz:",
        type="tertiary",
        width="stretch",
    ):
        st.text_input(
            texts.rename,
            conversation.title,
            key=f"{_TITLE}_{conversation.id}",
            max_chars=LONGEST_TITLE,
            on_change=_rename,
            args=(chat, texts),
        )
        st.button(
            texts.unpin if conversation.pinned else texts.pin,
            key="pin_chat",
            icon=":material/keep:",
            type="tertiary",
            on_click=_change,
            args=(chat, texts, "pinned", not conversation.pinned),
        )
        st.button(
            texts.share.open,
            key="share_chat",
            icon=":material/share:",
            type="tertiary",
            on_click=request_dialog,
            args=("share",),
        )
        draw_chat_downloads(chat, texts)
        st.button(
            texts.delete,
            key="delete_chat",
            icon=":material/delete:",
            type="tertiary",
            on_click=throw_away,
            args=(chat, texts),
        )


def _rename(chat: Chat, texts: Texts) -> None:
    field = f"{_TITLE}_{chat.conversation.id}"
    title = " ".join(str(st.session_state[field]).split())
    if title:
        _change(chat, texts, "title", title)
    st.session_state[field] = title or chat.conversation.title  # blanks are none


def _change(chat: Chat, texts: Texts, name: str, value: object) -> None:
    def change(connection: Connection) -> None:
        Conversations(connection, chat.asker.reader).change(chat.conversation.id, **{name: value})

    with told_if_unkept(texts):
        chat.replies.keeper.keep(change)


def _find_more(words: str, limit: int) -> None:
    st.session_state[_FOUND] = words, limit + FOUND


def _list_more(limit: int) -> None:
    st.session_state[_LISTED] = limit + LISTED


def _day(conversation: Conversation, texts: Texts) -> str:
    """Under which heading a conversation is listed."""
    if conversation.pinned:
        return texts.pinned
    zone = reader_zone()
    today = datetime.now(zone).date()
    day = datetime.fromtimestamp(conversation.changed, zone).date()
    if day >= today:
        return texts.today
    if day == today - timedelta(days=1):
        return texts.yesterday
    return texts.last_week if day > today - timedelta(days=7) else _month(day)


def _month(day: date) -> str:
    return f"{day:%Y-%m}"
