"""Links to the server's own pages beside the chat."""

from html import escape

import streamlit as st


def draw_link(page: str, text: str) -> None:
    """A quiet link that leaves this page. ``st.link_button`` would open another tab, and this one stay connected."""
    style = "color: inherit; font-size: 0.875rem; opacity: 0.75"
    st.html(f'<a href="{page}" target="_self" style="{style}">{escape(text)}</a>')
