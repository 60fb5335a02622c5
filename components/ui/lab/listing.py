"""One's own sheets, the newest first."""

from datetime import datetime

import streamlit as st

from components.chats.asker import Asker
from components.chats.titles import title_of
from components.lab.jobs import Jobs
from components.markdown.escaping import escape_label
from components.store.errors import StoreError
from components.store.sheets import SheetEntry
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.zone import reader_zone
from components.ui.lab.state import close_sheet, open_sheet, opened_sheet
from components.ui.texts import Texts


def draw_sheets(jobs: Jobs, asker: Asker, texts: Texts) -> None:
    """Each with a button that opens it and one that deletes it."""
    try:
        sheets = jobs.list(asker.reader)
    except StoreError as error:
        st.warning(texts.store_away, icon=":material/cloud_off:")
        st.caption(str(error))
        return
    if not sheets:
        st.caption(texts.lab.none_yet)
    for sheet in sheets:
        _draw_entry(jobs, asker, sheet, texts)


def _draw_entry(jobs: Jobs, asker: Asker, sheet: SheetEntry, texts: Texts) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap=None):
            st.markdown(escape_label(title_of(sheet.question)))
            date = f"{datetime.fromtimestamp(sheet.created, reader_zone()):%Y-%m-%d %H:%M}"
            st.caption(f"{texts.lab.views[sheet.kind]} · {date}")
        st.button(
            texts.lab.open,
            key=f"lab_open_{sheet.id}",
            icon=":material/open_in_full:",
            on_click=open_sheet,
            args=(sheet.id, sheet.kind),
        )
        with st.popover(texts.lab.delete, icon=":material/delete:", type="tertiary"):
            st.markdown(texts.lab.delete_question)
            st.button(
                texts.lab.delete_confirmed,
                key=f"lab_delete_{sheet.id}",
                type="primary",
                on_click=_delete,
                args=(jobs, asker, sheet.id, texts),
            )


def _delete(jobs: Jobs, asker: Asker, sheet: str, texts: Texts) -> None:
    with told_if_unkept(texts):
        jobs.delete(asker.reader, sheet)
        if opened_sheet() == sheet:
            close_sheet()
