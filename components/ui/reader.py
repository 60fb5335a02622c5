"""Who reads the page, and the way out for those who signed in."""

import streamlit as st

from components.access.caller import Caller
from components.access.door import get_door
from components.settings import get_settings
from components.ui.links import draw_link
from components.ui.texts import Texts


def current_reader() -> Caller:
    """Who reads the page: the owner or a visitor, with a name that stays the browser's own."""
    if _signed_in_elsewhere():
        return _recognised() or Caller("visitor", str(st.user["sub"]))
    # Nobody else is past the lock without a code, except a program with an API key, which is no owner either.
    return _recognised() or Caller("visitor", st.context.ip_address or "")


def is_known() -> bool:
    """Whether the reader came in by a code, through an open door, or by an OpenID provider."""
    return _recognised() is not None or _signed_in_elsewhere()


def draw_sign_out(texts: Texts) -> None:
    """A way to sign out, for those who signed in."""
    session = get_door().session(st.context.cookies)
    if session is not None and session.role is not None:
        draw_link("logout", texts.sign_out)
    elif _signed_in_elsewhere():
        st.button(texts.sign_out, key="sign_out", type="tertiary", on_click=st.logout)


def _recognised() -> Caller | None:
    context = st.context
    return get_door().recognise(context.headers, context.cookies, context.ip_address or "")


def _signed_in_elsewhere() -> bool:
    """By an OpenID provider. Without the setting, st.user has nothing to say."""
    return get_settings().sign_in and bool(st.user.is_logged_in)
