"""Who reads the page, and the way out for those who signed in."""

import streamlit as st

from components.access.caller import Caller
from components.access.door import get_door
from components.ui.texts import Texts


def current_reader() -> Caller:
    """Who reads the page: the owner or a visitor, with a name that stays the browser's own."""
    context = st.context
    address = context.ip_address or ""
    # Nobody without a code is past the lock, except a program with an API key, which is no owner either.
    return get_door().recognise(context.headers, context.cookies, address) or Caller("visitor", address)


def draw_sign_out(texts: Texts) -> None:
    """A link to sign out, for those who came in by a code."""
    session = get_door().session(st.context.cookies)
    if session is not None and session.role is not None:
        # Not st.link_button, which opens another tab and leaves this one connected.
        st.html(f'<a href="logout" target="_self">{texts.sign_out}</a>')
