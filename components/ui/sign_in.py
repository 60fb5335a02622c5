"""What those see who have yet to sign in with an OpenID provider, through Streamlit's own sign-in."""

import streamlit as st

from components.settings import get_settings
from components.ui.links import draw_link
from components.ui.reader import is_known
from components.ui.texts import Texts


def is_signed_in_or_asked(texts: Texts) -> bool:
    """Whether the reader may see the page; if not, what is shown is how to sign in."""
    if is_known() or not get_settings().sign_in:
        return True
    st.title(texts.title, anchor=False)
    st.button(texts.sign_in, key="sign_in", type="primary", icon=":material/login:", on_click=st.login)
    draw_link("login", texts.sign_in_by_code)
    return False
