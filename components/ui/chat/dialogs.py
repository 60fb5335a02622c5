"""The page's dialogs. One at a time is open, from the script run that opens it until the reader closes it.

Streamlit draws an open dialog anew by itself, but only between two runs of the script. So a run with a dialog ends:
what is being written meanwhile is not followed, until the dialog is closed.
"""

from typing import Literal

import streamlit as st

from components.chats.chat import Chat
from components.ui.chat.my_data import draw_my_data, tell_what_was_done
from components.ui.chat.share_dialog import draw_share
from components.ui.focus import request_focus
from components.ui.texts import Texts

Dialog = Literal["my_data", "share"]

_KEY = "dialog"
_REQUESTED = "dialogs_requested"
"""In the session: how many so far."""


def request_dialog(dialog: Dialog) -> None:
    """For callbacks: open this one in the script run that follows."""
    st.session_state[_KEY] = dialog
    st.session_state[_REQUESTED] = st.session_state.get(_REQUESTED, 0) + 1


def menu_key() -> str:
    """The key of the menu from which a dialog is requested: another one after each, so that it is closed again.

    To have it told that it is closed is not enough: a browser in which it was opened just now, with a run of the script
    that another one cut short, still takes it for closed, and leaves it open over the dialog.
    """
    return f"chat_menu_{st.session_state.get(_REQUESTED, 0)}"


def draw_requested(chat: Chat, texts: Texts) -> bool:
    """Draw the dialog that was requested; gives whether there is one."""
    tell_what_was_done()
    dialog: Dialog | None = st.session_state.pop(_KEY, None)
    match dialog:
        case "my_data":
            st.dialog(texts.mine.title, on_dismiss="rerun")(draw_my_data)(chat, texts)
        case "share":
            st.dialog(texts.share.title, on_dismiss=_return_to_menu)(draw_share)(chat, texts)
    return dialog is not None


def _return_to_menu() -> None:
    """The menu's button is another one than the one that had the focus before the dialog, which returns it in vain."""
    request_focus(menu_key())
