"""Who reads the page, and the way out for those who signed in."""

from dataclasses import replace

import streamlit as st

from components.access.identity import Identity, user_reader
from components.access.policy import get_access_policy, visitor
from components.settings import get_settings
from components.ui.links import draw_link
from components.ui.texts import Texts


def current_reader() -> Identity:
    """Who reads the page, with a name that stays the browser's own."""
    if _signed_in_elsewhere():
        reader = user_reader(str(st.user["iss"]), str(st.user["sub"]))
        recognised = _recognised()
        return replace(recognised, reader=reader) if recognised else visitor(str(st.user["sub"]), _address(), reader)
    # Nobody else came in without a code, except a program with an API key, which is no owner either.
    return _recognised() or visitor(_address(), _address())


def is_known() -> bool:
    """Whether the reader came in by a code, needed none, or signed in with an OpenID provider."""
    return _recognised() is not None or _signed_in_elsewhere()


def draw_sign_out(texts: Texts) -> None:
    """A way to sign out, for those who signed in."""
    session = get_access_policy().session(st.context.cookies)
    if session is not None and session.level is not None:
        draw_link("logout", texts.sign_out)
    elif _signed_in_elsewhere():
        st.button(texts.sign_out, key="sign_out", type="tertiary", on_click=st.logout)


def _recognised() -> Identity | None:
    context = st.context
    return get_access_policy().recognise(context.headers, context.cookies, _address())


def _address() -> str:
    """As the APIs see it; Streamlit has none for this machine."""
    return st.context.ip_address or "127.0.0.1"


def _signed_in_elsewhere() -> bool:
    """By an OpenID provider. Without the setting, st.user has nothing to say."""
    return get_settings().sign_in and bool(st.user.is_logged_in)
