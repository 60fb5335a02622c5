"""Which language the page speaks: the URL's ``lang``, else the browser's, switchable in the sidebar."""

from typing import cast

import streamlit as st

from components.ui.texts import LANGUAGE_NAMES, TEXTS, Language, Texts

_KEY = "language"
_URL_NAME = "lang"


def current_language() -> Language:
    """The reader's language."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = _preferred()
    return cast("Language", st.session_state[_KEY])


def current_texts() -> Texts:
    """The texts in the reader's language."""
    return TEXTS[current_language()]


def draw_language_switch(texts: Texts) -> None:
    """Lets the reader change the language; the choice goes into the URL, so a shared link keeps it."""
    st.segmented_control(
        texts.language,
        options=list(LANGUAGE_NAMES),
        format_func=lambda language: LANGUAGE_NAMES[language],
        key=_KEY,
        required=True,
        on_change=_remember,
        label_visibility="collapsed",
    )


def _preferred() -> Language:
    asked = st.query_params.get(_URL_NAME, "") or st.context.locale or ""
    return "zh" if asked.lower().startswith("zh") else "en"


def _remember() -> None:
    st.query_params[_URL_NAME] = st.session_state[_KEY]
