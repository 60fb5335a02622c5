"""Where the keyboard's focus goes, whether the page comes before the sidebar, and in which language it is read aloud.

Streamlit lets none of these be said. A script of this page's own does them in the browser
(``components/ui/components/focus/keep.js``), and keeps the focus by itself where a widget comes back under its key.
"""

import secrets

import streamlit as st

from components.ui.components.mounting import focus_keeper
from components.ui.language import current_language

_FOCUS = "requested_focus"
_SHOWN = "requested_page"
"""In the session: the newest requests. Each has a name of its own, by which the browser knows it as met."""


def request_focus(key: str, *, into_view: bool = False) -> None:
    """For callbacks: the widget with this key, or the first one within it, has the focus once it is drawn.

    Args:
        key: of a widget, or of a container that may have none.
        into_view: whether its beginning is to be seen, too, however long it is.
    """
    st.session_state[_FOCUS] = {"request": secrets.token_hex(8), "key": key, "intoView": into_view}


def request_page() -> None:
    """For callbacks: on a phone, where the sidebar lies over the page, it gives way."""
    st.session_state[_SHOWN] = secrets.token_hex(8)


def draw_focus() -> None:
    """Tell the browser what was requested. First on every page: a run of the script may take as long as a reply."""
    wanted = {"focus": st.session_state.get(_FOCUS), "shown": st.session_state.get(_SHOWN)}
    focus_keeper()(key="focus", data=wanted | {"language": current_language()})
