"""A grid as a heat map of one figure; a cell is opened by a click, or chosen from a list."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from components.lab.diversity import Diversity, Scored, diversity
from components.lab.jobs import Jobs
from components.lab.writing import written
from components.store.sheets import Cell, Sheet
from components.ui.lab.columns import draw_sample
from components.ui.lab.keeping import draw_keeping
from components.ui.lab.parameters import label_of, settings_line
from components.ui.texts import Texts

CELL_HEIGHT = 62
LEGIBLE_HEIGHT = 70
"""Pixels of a row, and of what stands around them."""

_METRIC = "lab_metric"
_CHOSEN = "cell"
"""What the selection in the plot is called."""


def growing_grid(texts: Texts) -> Callable[[Sheet], None]:
    """Make room for the heat map; what is given shows it anew when more samples have ended."""
    metric = str(st.session_state.get(_METRIC) or "distinct_2")
    st.caption(texts.lab.metrics[metric])
    slot, shown = st.empty(), [-1]

    def show(sheet: Sheet) -> None:
        done, _ = written(sheet)
        if done != shown[0]:
            shown[0] = done
            slot.altair_chart(_heat_map(sheet, metric, texts), width="stretch")

    return show


def draw_grid(jobs: Jobs, sheet: Sheet, texts: Texts) -> None:
    """The heat map, and the samples of the cell that was chosen."""
    lab = texts.lab
    metric: str = st.selectbox(
        lab.metric, list(lab.metrics), index=1, format_func=lambda name: lab.metrics[name], key=_METRIC
    )
    st.caption(lab.metric_help[metric])
    chosen, listed = f"lab_cell_{sheet.id}", f"lab_listed_{sheet.id}"
    # A plot tells of a click only if it selects something else, and knows nothing of what was chosen from the list.
    plot = f"lab_plot_{sheet.id}_{metric}_{st.session_state.get(listed, 0)}"
    st.altair_chart(
        _heat_map(sheet, metric, texts),
        width="stretch",
        key=plot,
        on_select=lambda: _choose(plot, chosen),
        selection_mode=_CHOSEN,
    )
    names = [axis.parameter for axis in sheet.axes]
    number: int = st.selectbox(
        lab.cell,
        range(len(sheet.cells)),
        format_func=lambda number: settings_line(sheet.cells[number].sampling, names, texts),
        key=chosen,
        on_change=lambda: st.session_state.update({listed: st.session_state.get(listed, 0) + 1}),
    )
    cell = sheet.cells[number]
    figures = asdict(_figures(cell)) if _is_begun(cell) else {}
    told = (f"{label}: {_told(figures.get(name), texts)}" for name, label in lab.metrics.items())
    st.caption(" · ".join(told))
    for which, sample in enumerate(cell.samples, 1):
        with st.container(border=True):
            st.caption(lab.sample.format(number=which))
            draw_sample(sample, texts)
    draw_keeping(jobs, sheet, number, texts)


def _choose(plot: str, chosen: str) -> None:
    """The cell that was clicked is the one that the list shows."""
    points: list[dict[str, Any]] = st.session_state[plot].selection.get(_CHOSEN, [])
    if points and "number" in points[0]:
        st.session_state[chosen] = int(points[0]["number"])


def _is_begun(cell: Cell) -> bool:
    return any(sample.text for sample in cell.samples)


def _figures(cell: Cell) -> Diversity:
    samples = [sample for sample in cell.samples if sample.text]
    return diversity([Scored(one.text, one.tokens, one.logprob, one.scored) for one in samples])


def _told(value: float | None, texts: Texts) -> str:
    return texts.lab.nothing if value is None else f"{value:.3g}"


def _heat_map(sheet: Sheet, metric: str, texts: Texts) -> alt.LayerChart | alt.FacetChart:
    across, down = sheet.axes
    rows = []
    for number, cell in enumerate(sheet.cells):
        value = getattr(_figures(cell), metric) if _is_begun(cell) else None
        x, y = (f"{cell.sampling[axis.parameter]:g}" for axis in (across, down))
        rows.append({"number": number, "x": x, "y": y, "value": value, "told": "" if value is None else f"{value:.2f}"})
    frame = pd.DataFrame(rows).astype({"value": float})
    middle = (frame["value"].min() + frame["value"].max()) / 2
    point = alt.selection_point(name=_CHOSEN, fields=["number"], on="click", clear="dblclick")
    shown = alt.Chart(frame, height=CELL_HEIGHT * len(down.values) + LEGIBLE_HEIGHT).encode(
        x=alt.X("x:O", title=label_of(across.parameter, texts), sort=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("y:O", title=label_of(down.parameter, texts), sort=None),
    )
    cells = shown.mark_rect(cornerRadius=4, stroke="#8895a3", cursor="pointer").encode(
        color=alt.Color("value:Q", legend=None, scale=alt.Scale(range=["#dcebf9", "#1d4f8c"])),
        strokeWidth=alt.condition(point, alt.value(3), alt.value(1), empty=False),
        tooltip=[alt.Tooltip("told:N", title=texts.lab.metrics[metric])],
    )
    dark = alt.datum.value > (float(middle) if pd.notna(middle) else 0.0)
    figures = shown.mark_text(fontSize=14).encode(
        text="told:N", color=alt.condition(dark, alt.value("#ffffff"), alt.value("#10243a"))
    )
    return alt.layer(cells.add_params(point), figures)
