"""A sheet: while it is written, and when it has ended."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.chats.asker import Asker
from components.chats.exporting import file_name
from components.lab.exporting import json_of_sheets
from components.lab.jobs import Jobs
from components.lab.writing import written
from components.store.errors import NotFoundError, StoreError
from components.store.sheets import Sheet
from components.ui.chat.notices import told_if_unkept
from components.ui.lab.columns import draw_columns, growing_columns
from components.ui.lab.heat_map import draw_grid, growing_grid
from components.ui.lab.sharing import draw_sharing
from components.ui.texts import Texts

REFRESH_SECONDS = 0.3


def draw_sheet(jobs: Jobs, asker: Asker, sheet: Sheet, texts: Texts) -> None:
    """The question and the replies; follows them while they are written."""
    with st.container(border=True):
        st.text(sheet.question)
    if sheet.end is None or _is_being_kept(jobs, sheet):
        _follow(jobs, asker, sheet, texts)
        return
    _tell_if_unkept(jobs, sheet, st.empty(), texts)
    if sheet.end != "done":
        st.caption(texts.lab.ends[sheet.end])
    if sheet.kind == "compare":
        draw_columns(jobs, sheet, texts)
    else:
        draw_grid(jobs, sheet, texts)
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


def _follow(jobs: Jobs, asker: Asker, sheet: Sheet, texts: Texts) -> None:
    """Show the sheet as it grows, within one run of the script.

    Streamlit collects garbage after each run, which stops every thread for a second where a model is loaded: a fragment
    that runs twice a second would leave the model no time to write.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        progress = st.empty()
        st.button(
            texts.lab.stop,
            key="lab_stop",
            icon=":material/stop_circle:",
            on_click=_stop,
            args=(jobs, asker, sheet.id, texts),
        )
    problem = st.empty()
    show = growing_columns(sheet, texts) if sheet.kind == "compare" else growing_grid(texts)
    while sheet.end is None or _is_being_kept(jobs, sheet):
        done, total = written(sheet)
        # Something is sent each time, for only while it sends can Streamlit end a run of the script.
        progress.progress(done / total, texts.lab.progress.format(done=done, all=total))
        _tell_if_unkept(jobs, sheet, problem, texts)
        show(sheet)
        time.sleep(REFRESH_SECONDS)
        try:
            sheet = jobs.get(asker.reader, sheet.id)
        except StoreError:
            continue
        except NotFoundError:
            break  # deleted in another tab
    st.rerun()


def _is_being_kept(jobs: Jobs, sheet: Sheet) -> bool:
    """Whether it is not known yet if its end can be kept: nothing is drawn anew once a sheet has ended."""
    return (writing := jobs.find(sheet.id)) is not None and writing.problem is None


def _tell_if_unkept(jobs: Jobs, sheet: Sheet, slot: DeltaGenerator, texts: Texts) -> None:
    if (writing := jobs.find(sheet.id)) is not None and writing.problem is not None:
        slot.warning(f"{texts.not_kept} {writing.problem}", icon=":material/cloud_off:")


def _stop(jobs: Jobs, asker: Asker, sheet: str, texts: Texts) -> None:
    with told_if_unkept(texts):
        jobs.stop(asker.reader, sheet)
