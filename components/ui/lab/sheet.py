"""A sheet: while it is written, and when it has ended."""

import streamlit as st

from components.chats.asker import Asker
from components.chats.exporting import file_name
from components.lab.exporting import json_of_sheets
from components.lab.jobs import Jobs
from components.lab.writing import written
from components.store.errors import NotFoundError, StoreError
from components.store.sheets import Sheet
from components.ui.chat.notices import told_if_unkept
from components.ui.lab.columns import draw_columns, draw_growing_columns
from components.ui.lab.heat_map import draw_grid, draw_growing_grid
from components.ui.lab.sharing import draw_sharing
from components.ui.texts import Texts

REFRESH_SECONDS = 0.5


def draw_sheet(jobs: Jobs, asker: Asker, sheet: Sheet, texts: Texts) -> None:
    """The question and the replies; follows them while they are written."""
    with st.container(border=True):
        st.text(sheet.question)
    if sheet.end is None:
        _follow(jobs, asker, sheet.id, texts)
        return
    if sheet.end != "done":
        st.caption(texts.lab.ends[sheet.end])
    if sheet.kind == "compare":
        draw_columns(sheet, texts)
    else:
        draw_grid(sheet, texts)
    draw_sharing(jobs, asker, sheet, texts)
    st.download_button(
        texts.lab.download,
        json_of_sheets([sheet]),
        file_name=file_name(sheet.question[:60], "json"),
        mime="application/json",
        key="lab_download",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


@st.fragment(run_every=REFRESH_SECONDS)
def _follow(jobs: Jobs, asker: Asker, sheet_id: str, texts: Texts) -> None:
    try:
        sheet = jobs.get(asker.reader, sheet_id)
    except (StoreError, NotFoundError):
        st.rerun()
    if sheet.end is not None:
        st.rerun()
    done, total = written(sheet)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(done / total, texts.lab.progress.format(done=done, all=total))
        st.button(
            texts.lab.stop,
            key="lab_stop",
            icon=":material/stop_circle:",
            on_click=_stop,
            args=(jobs, asker, sheet_id, texts),
        )
    if (writing := jobs.find(sheet_id)) is not None and writing.problem is not None:
        st.warning(texts.not_kept, icon=":material/cloud_off:")
        st.caption(writing.problem)
    if sheet.kind == "compare":
        draw_growing_columns(sheet, texts)
    else:
        draw_growing_grid(sheet, texts)


def _stop(jobs: Jobs, asker: Asker, sheet: str, texts: Texts) -> None:
    with told_if_unkept(texts):
        jobs.stop(asker.reader, sheet)
