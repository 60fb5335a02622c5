"""The page's pages, and the way from one to another within a tab."""

from collections.abc import Mapping
from typing import Literal, NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage

PageName = Literal["chat", "lab", "operations"]

_KEY = "pages"


def run_pages(pages: Mapping[PageName, StreamlitPage]) -> None:
    """Show the one that the address names."""
    st.session_state[_KEY] = pages
    st.navigation(list(pages.values()), position="hidden").run()


def go_to(page: PageName, query: Mapping[str, str]) -> NoReturn:
    """Show another page. Not for callbacks: a run of the script ends here."""
    st.switch_page(st.session_state[_KEY][page], query_params=query)
