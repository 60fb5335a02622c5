"""The lab's page: what to ask, what is written, and what was kept."""

from typing import cast, get_args

import streamlit as st

from components.engine.host import Failed, Loading, Ready, engine_host
from components.engine.interface import Engine
from components.lab.jobs import Jobs, get_jobs
from components.paths import LAB
from components.store.errors import NotFoundError, StoreError
from components.store.sheets import Sheet
from components.ui.chat.opening import current_asker
from components.ui.lab.compare_setup import draw_compare_setup
from components.ui.lab.grid_setup import draw_grid_setup
from components.ui.lab.listing import draw_sheets
from components.ui.lab.passage import chat_controls, draw_back
from components.ui.lab.sheet import draw_sheet
from components.ui.lab.state import VIEW, View, opened_sheet, show_problem
from components.ui.language import current_texts, draw_language_switch
from components.ui.startup import draw_failed, draw_loading
from components.ui.texts import Texts

LAB_PATH = LAB.removeprefix("/")
"""Of the page's address."""


def show_lab() -> None:
    """The whole page, or why there is none yet."""
    st.set_page_config(layout="wide")  # four columns stand beside each other
    texts = current_texts()
    host = engine_host()
    match host.state:
        case Ready(engine):
            draw_lab(engine, get_jobs(), texts)
        case Loading():
            draw_loading(host, texts)
        case Failed(message):
            draw_failed(message, host, texts)


def draw_lab(engine: Engine, jobs: Jobs, texts: Texts) -> None:
    """What to do, and the sheet that is open."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        draw_back(texts)
        draw_language_switch(texts)
    st.title(texts.lab.title, anchor=False)
    st.caption(texts.lab.about)
    try:
        sheet = _open_sheet(jobs, texts)
    except StoreError as error:
        st.warning(texts.store_away, icon=":material/cloud_off:")
        st.caption(str(error))
        return
    if VIEW not in st.session_state:
        st.session_state[VIEW] = sheet.kind if sheet else "compare"
    view = cast(
        "View",
        st.segmented_control(
            texts.lab.view,
            get_args(View),
            format_func=lambda view: texts.lab.views[view],
            key=VIEW,
            required=True,
            label_visibility="collapsed",
        ),
    )
    show_problem()
    if view == "sheets":
        draw_sheets(jobs, current_asker(), texts)
        return
    shown = sheet if sheet is not None and sheet.kind == view else None
    with st.expander(texts.lab.setup, expanded=shown is None, icon=":material/tune:"):
        draw_setup = draw_compare_setup if view == "compare" else draw_grid_setup
        draw_setup(engine, jobs, chat_controls(engine.info), texts)
    if shown is not None:
        draw_sheet(jobs, current_asker(), shown, texts)


def _open_sheet(jobs: Jobs, texts: Texts) -> Sheet | None:
    """The sheet that the address names."""
    wanted = opened_sheet()
    if wanted is None:
        return None
    try:
        return jobs.get(current_asker().reader, wanted)
    except NotFoundError:
        st.warning(texts.lab.gone, icon=":material/search_off:")
        return None
