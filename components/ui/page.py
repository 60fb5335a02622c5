"""The pages. Streamlit runs this file from the top for every interaction of every reader."""

from pathlib import Path

import streamlit as st

from components.ui.chat.page import show_chat
from components.ui.focus import draw_focus
from components.ui.lab.page import LAB_PATH, show_lab
from components.ui.language import current_texts
from components.ui.navigation import run_pages
from components.ui.operations.page import OPERATIONS_PATH, show_operations
from components.ui.sign_in import is_signed_in_or_asked


def main() -> None:
    """Show the page that the address names."""
    # A file: Streamlit's own icons and emoji would be fetched from servers that not every reader can reach.
    st.set_page_config(page_title=current_texts().title, page_icon=Path(__file__).with_name("icon.svg"))
    if not is_signed_in_or_asked(current_texts()):
        return
    st.html(Path(__file__).with_name("style.css"))
    draw_focus()
    run_pages(
        {
            "chat": st.Page(show_chat, default=True),
            "lab": st.Page(show_lab, url_path=LAB_PATH),
            "operations": st.Page(show_operations, url_path=OPERATIONS_PATH),
        }
    )


if __name__ == "__main__":
    main()
