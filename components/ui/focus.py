"""Where the keyboard's focus goes with the next run of the script, and whether the page comes before the sidebar.

Streamlit lets neither be said. A script of this page's own does both in the browser
(``components/ui/components/focus/keep.js``), and keeps the focus by itself where a widget comes back under its key.
"""

import secrets

import streamlit as st

from components.ui.components.mounting import focus_keeper

_FOCUS = "requested_focus"
_SHOWN = "requested_page"
"""In the session: the newest requests. Each has a name of its own, by which the browser knows it as met."""


def request_focus(key: str) -> None:
    """For callbacks: the widget with this key has the focus once it is drawn."""
    st.session_state[_FOCUS] = {"request": secrets.token_hex(8), "key": key}


def request_page() -> None:
    """For callbacks: on a phone, where the sidebar lies over the page, it gives way."""
    st.session_state[_SHOWN] = secrets.token_hex(8)


def draw_focus() -> None:
    """Tell the browser what was requested. First on every page: a run of the script may take as long as a reply."""
    focus_keeper()(key="focus", data={"focus": st.session_state.get(_FOCUS), "shown": st.session_state.get(_SHOWN)})
