"""The way from the chat to the lab and back, with what the sliders show."""

from typing import cast

import streamlit as st

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.engine.interface import EngineInfo
from components.sampling.parameters import SamplingParams
from components.store.rows import Conversation
from components.ui.chat.sliders import show_controls
from components.ui.language import current_language
from components.ui.navigation import go_to
from components.ui.texts import Texts

_CONTROLS = "lab_controls"
_RETURNING = "returning_from_lab"
_UNSEEN = "lab_chat_unseen"
"""In the session: what the chat's sliders showed, or are to show; whether the chat has not been shown since; and that
it had not been shown before, either. Streamlit forgets what the widgets of a page held when another page is shown."""


def draw_lab_link(controls: Controls, texts: Texts) -> None:
    """In the chat: the way to the lab, in the same tab."""
    if st.button(texts.lab.title, key="open_lab", icon=":material/science:", type="tertiary"):
        _remember(controls)
        go_to("lab", _query())


def restore_controls(chat: Chat, info: EngineInfo) -> None:
    """Before the chat's sidebar is drawn: have it show what it showed before the lab, or what was adopted there."""
    is_unseen = st.session_state.pop(_UNSEEN, False)
    if not st.session_state.pop(_RETURNING, False):
        return
    controls = chat_controls(info)
    system = chat.conversation.system if is_unseen and not chat.is_new else controls.system
    shown = Conversation("", "", sampling=controls.sampling.model_dump(mode="json"), system=system)
    show_controls(shown, info, keep_address=False)


def chat_controls(info: EngineInfo) -> Controls:
    """What the chat's sliders show; the checkpoint's defaults where the lab was opened by its address."""
    return cast("Controls", st.session_state.get(_CONTROLS)) or Controls(info.defaults)


def draw_back(texts: Texts) -> None:
    """In the lab: the way back to the conversation that was open."""
    if st.button(texts.lab.back, key="back_to_chat", icon=":material/arrow_back:", type="tertiary"):
        go_to("chat", _query())


def adopt(controls: Controls) -> None:
    """Go to the chat, whose sliders show these settings. Not for callbacks.

    How long a reply may be stays as it was there: what the lab compares is short. So does the system prompt, which the
    lab does not compare; only a new chat that was not shown yet begins with that of the sheet.
    """
    before = cast("Controls | None", st.session_state.get(_CONTROLS))
    longest = (before.sampling if before else SamplingParams()).max_new_tokens
    sampling = controls.sampling.model_copy(update={"max_new_tokens": longest})
    st.session_state[_UNSEEN] = before is None
    _remember(Controls(sampling, before.system if before else controls.system))
    go_to("chat", _query())


def _remember(controls: Controls) -> None:
    st.session_state[_CONTROLS] = controls
    st.session_state[_RETURNING] = True


def _query() -> dict[str, str]:
    """The language, and the conversation to come back to."""
    kept = {"lang": current_language()}
    return kept | ({"c": st.query_params["c"]} if "c" in st.query_params else {})
