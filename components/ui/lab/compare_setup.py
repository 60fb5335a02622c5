"""What to compare: one question, and two to four columns with settings of their own."""

import streamlit as st

from components.chats.controls import Controls
from components.engine.interface import Engine, EngineInfo
from components.lab.grid import PARAMETERS, empty_cell
from components.lab.jobs import Jobs
from components.sampling.parameters import SamplingParams
from components.settings import get_settings
from components.ui.chat.sliders import default_of, slider_bounds
from components.ui.lab.parameters import label_of, letter_of
from components.ui.lab.state import QUESTION, begin_sheet
from components.ui.texts import LabTexts, Texts

COUNTS = (2, 3, 4)
LONGEST, LONGEST_STEP, USUAL_LONGEST = 1024, 16, 256
"""Tokens of a reply that is compared."""

USUAL_STEPS = (0.0, 0.4, 0.8, 1.2)
"""By so much each column's temperature is above the chat's, until somebody moves it."""

_COUNT = "lab_columns"
_LONGEST = "lab_longest"


def draw_question(texts: LabTexts) -> None:
    """Where the question is written; all of the lab's views have the same."""
    if QUESTION not in st.session_state:
        st.session_state[QUESTION] = ""
    st.text_area(
        texts.question,
        key=QUESTION,
        placeholder=texts.question_placeholder,
        height=90,
        max_chars=get_settings().max_question_chars,
    )


def draw_compare_setup(engine: Engine, jobs: Jobs, controls: Controls, texts: Texts) -> None:
    """The question, the columns' sliders, and the button that asks."""
    info = engine.info
    draw_question(texts.lab)
    with st.container(horizontal=True, gap="large"):
        count: int = st.segmented_control(texts.lab.columns, COUNTS, default=COUNTS[0], key=_COUNT, required=True)
        most = _most(info)
        st.slider(
            texts.lab.longest,
            LONGEST_STEP,
            most,
            value=min(USUAL_LONGEST, most),
            step=LONGEST_STEP,
            key=_LONGEST,
            on_change="ignore",
        )
    for number, column in enumerate(st.columns(count)):
        with column.container(border=True, gap="small"):
            st.markdown(f"**{texts.lab.column.format(letter=letter_of(number))}**")
            for name in PARAMETERS:
                _draw_slider(name, number, info, controls.sampling, texts)
    st.button(
        texts.lab.ask,
        key="lab_compare",
        type="primary",
        icon=":material/send:",
        on_click=_begin,
        args=(engine, jobs, controls, texts.lab),
    )


def _most(info: EngineInfo) -> int:
    return max(LONGEST_STEP * 2, min(LONGEST, info.context_length // 2) // LONGEST_STEP * LONGEST_STEP)


def _key(name: str, number: int) -> str:
    return f"lab_{letter_of(number)}_{name}"


def _draw_slider(name: str, number: int, info: EngineInfo, sampling: SamplingParams, texts: Texts) -> None:
    low, high, step = slider_bounds(name, info)
    value = type(default_of(name, info))(getattr(sampling, name))
    if name == "temperature":
        value += USUAL_STEPS[number]
    st.slider(
        label_of(name, texts),
        low,
        high,
        value=min(max(value, low), high),
        step=step,
        key=_key(name, number),
        on_change="ignore",
    )


def _begin(engine: Engine, jobs: Jobs, controls: Controls, texts: LabTexts) -> None:
    cells = []
    for number in range(st.session_state[_COUNT]):
        values = {name: round(st.session_state[_key(name, number)], 6) for name in PARAMETERS}
        values["max_new_tokens"] = st.session_state[_LONGEST]
        cells.append(empty_cell(controls.sampling.model_copy(update=values)))
    begin_sheet(engine, jobs, controls, "compare", cells, texts)
