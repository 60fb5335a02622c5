"""What the page shows while the model is not there, and when the page itself fails."""

import time

import streamlit as st

from components.engine.host import EngineHost, Loading
from components.ui.language import current_texts
from components.ui.texts import Texts


def draw_failed(message: str, host: EngineHost, texts: Texts) -> None:
    """Why the model could not be loaded, and a button to try again."""
    st.title(texts.title, anchor=False)
    st.error(texts.load_failed, icon=":material/error:")
    st.text(message)
    st.button(texts.load_again, key="load_again", icon=":material/refresh:", on_click=host.start)


def draw_loading(host: EngineHost, texts: Texts) -> None:
    """What is being loaded and for how long already; becomes the chat by itself."""
    st.title(texts.title, anchor=False)
    _follow_loading(host, texts)


@st.fragment(run_every=1.0)
def _follow_loading(host: EngineHost, texts: Texts) -> None:
    match host.state:
        case Loading(stage, since):
            st.markdown(f":shimmer[{texts.loading} …]")
            st.caption(f"{texts.stages[stage]} · {texts.seconds.format(seconds=time.monotonic() - since)}")
        case _:
            st.rerun()


def show_crash(_: Exception) -> bool:
    """For ``st.App``: a sentence instead of a traceback, which Streamlit has logged. True: nothing else is shown."""
    st.error(current_texts().crashed, icon=":material/error:")
    return True
