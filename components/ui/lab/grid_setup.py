"""What a grid asks: the question, two parameters with their values, how many samples, and how long."""

import streamlit as st

from components.chats.controls import Controls
from components.engine.interface import Engine
from components.lab.grid import (
    MOST_SAMPLES,
    MOST_TOKENS,
    PARAMETERS,
    USUAL_VALUES,
    AxisError,
    axis_of,
    grid_cells,
)
from components.lab.jobs import Jobs
from components.ui.lab.compare_setup import draw_question
from components.ui.lab.parameters import label_of, settings_line
from components.ui.lab.state import begin_sheet, tell_problem
from components.ui.texts import Texts

SHORTEST, USUAL_LENGTH = 16, 64
USUAL_SAMPLES = 2

_AXES = ("across", "down")
_SAMPLES, _LENGTH = "lab_samples", "lab_length"


def draw_grid_setup(engine: Engine, jobs: Jobs, controls: Controls, texts: Texts) -> None:
    """The question, the axes, and the button that asks."""
    lab = texts.lab
    draw_question(lab)
    for column, axis, label, number in zip(st.columns(2), _AXES, (lab.across, lab.down), (0, 1), strict=True):
        with column.container(border=True, gap="small"):
            parameter: str = st.selectbox(
                label,
                PARAMETERS,
                index=number,
                format_func=lambda name: label_of(name, texts),
                key=f"lab_{axis}",
            )
            st.text_input(
                lab.values.format(parameter=label_of(parameter, texts)),
                value=_example(parameter),
                key=_values_key(axis, parameter),
                help=lab.values_help,
            )
    with st.container(horizontal=True, gap="large"):
        st.slider(lab.samples, 1, MOST_SAMPLES, value=USUAL_SAMPLES, key=_SAMPLES)
        st.slider(lab.longest, SHORTEST, MOST_TOKENS, value=USUAL_LENGTH, step=SHORTEST, key=_LENGTH)
    _draw_total(controls, texts)
    st.button(
        lab.ask,
        key="lab_grid",
        type="primary",
        icon=":material/grid_on:",
        on_click=_begin,
        args=(engine, jobs, controls, texts),
    )


def _example(parameter: str) -> str:
    return ", ".join(f"{value:g}" for value in USUAL_VALUES[parameter])


def _values_key(axis: str, parameter: str) -> str:
    return f"lab_{axis}_{parameter}"


def _written(axis: str) -> tuple[str, str]:
    """The parameter that was chosen, and what was written for its values."""
    parameter = str(st.session_state[f"lab_{axis}"])
    return parameter, str(st.session_state[_values_key(axis, parameter)])


def _draw_total(controls: Controls, texts: Texts) -> None:
    chosen = [_written(axis) for axis in _AXES]
    try:
        across, down = (axis_of(parameter, text) for parameter, text in chosen)
    except AxisError:
        return
    cells, samples = len(across.values) * len(down.values), st.session_state[_SAMPLES]
    st.caption(texts.lab.total.format(cells=cells, samples=samples, replies=cells * samples))
    rest = [name for name in PARAMETERS if name not in (across.parameter, down.parameter)]
    settings = settings_line(controls.sampling.model_dump(), rest, texts)
    st.caption(texts.lab.others.format(settings=settings))


def _begin(engine: Engine, jobs: Jobs, controls: Controls, texts: Texts) -> None:
    axes = []
    for axis in _AXES:
        parameter, text = _written(axis)
        try:
            axes.append(axis_of(parameter, text))
        except AxisError:
            problem = texts.lab.wrong_values
            label, example = label_of(parameter, texts), _example(parameter)
            tell_problem(problem.format(parameter=label, text=text, example=example))
            return
    across, down = axes
    if across.parameter == down.parameter:
        tell_problem(texts.lab.same_parameter)
        return
    sampling = controls.sampling.model_copy(update={"max_new_tokens": st.session_state[_LENGTH]})
    cells = grid_cells(across, down, sampling, st.session_state[_SAMPLES])
    begin_sheet(engine, jobs, controls, "grid", cells, texts.lab, (across, down))
