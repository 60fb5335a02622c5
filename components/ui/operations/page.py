"""The operations page, for the owner: how the server is doing, and who is being served."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import altair as alt
import pandas as pd
import streamlit as st

from components.engine.host import EngineHost, Ready, engine_host
from components.engine.watching.activity import Activity, Running
from components.engine.watching.recorder import Interval, Sample, interval
from components.paths import OPERATIONS
from components.ui.language import current_language, current_texts
from components.ui.reader import current_reader
from components.ui.texts import OperationsTexts

OPERATIONS_PATH = OPERATIONS.removeprefix("/")
"""Of the page's address."""

REFRESH_SECONDS = 2.0
MEAN_OVER = 5
"""So many samples at the end are "now": single ones jump."""

NO_FIGURE = "–"

METRIC_WIDTH = 104
"""Six in a row on a desktop, three on a phone."""

LIST_HEIGHT = 300
PLOT_POINTS = 180
PLOT_HEIGHT = 170


def draw_operations_link() -> None:
    """A link to the page, in a tab of its own: the conversation stays where it is."""
    st.link_button(
        current_texts().operations.title,
        f"{OPERATIONS_PATH}?lang={current_language()}",
        icon=":material/monitoring:",
        type="tertiary",
    )


def show_operations() -> None:
    """The whole page; it keeps itself up to date."""
    texts = current_texts().operations
    st.title(texts.title, anchor=False)
    host = engine_host()
    if not current_reader().is_owner:
        st.warning(texts.not_owner, icon=":material/lock:")
        return
    _draw_live(host, texts)


@st.fragment(run_every=REFRESH_SECONDS)
def _draw_live(host: EngineHost, texts: OperationsTexts) -> None:
    samples = host.recorder.samples if host.recorder else []
    if not isinstance(host.state, Ready) or len(samples) < 2:
        st.info(texts.nothing_yet)
        return
    engine = host.state.engine
    info = engine.info
    st.caption(texts.about.format(model=info.model, device=info.device, dtype=info.dtype, engine=info.engine))
    _draw_now(samples[-MEAN_OVER - 1 :], texts)
    st.subheader(texts.running, anchor=False)
    _draw_running(engine.activity, texts)
    st.subheader(texts.last_half_hour, anchor=False)
    _draw_plots(_thinned(samples), texts)


def _draw_now(samples: Sequence[Sample], texts: OperationsTexts) -> None:
    last, recent = samples[-1], interval(samples[0], samples[-1])
    load = last.load
    memory = last.memory_bytes if last.device_memory_bytes is None else last.device_memory_bytes
    figures = {
        texts.writing: f"{load.active}",
        texts.waiting: f"{load.waiting}",
        texts.tokens_per_second: f"{recent.tokens_out:.0f}",
        texts.first_token: _seconds(recent.first_token, texts),
        texts.cache: _share(load.used_tokens, load.capacity_tokens, texts),
        texts.memory: texts.gigabytes.format(gigabytes=memory / 1e9),
    }
    with st.container(horizontal=True, gap="small"):
        for label, value in figures.items():
            st.metric(label, value, border=True, width=METRIC_WIDTH)


def _seconds(seconds: float | None, texts: OperationsTexts) -> str:
    return NO_FIGURE if seconds is None else texts.seconds.format(seconds=seconds)


def _share(part: float, whole: float, texts: OperationsTexts) -> str:
    return texts.percent.format(percent=100 * part / whole) if whole else NO_FIGURE


def _draw_running(activity: Activity, texts: OperationsTexts) -> None:
    running, now = activity.running(), activity.clock()
    if not running:
        st.caption(texts.nobody)
    with st.container(height=LIST_HEIGHT if len(running) > 5 else "content", border=False):
        for one in running:
            _draw_one_running(one, now, texts)


def _draw_one_running(one: Running, now: float, texts: OperationsTexts) -> None:
    state = texts.written.format(tokens=one.tokens)
    if one.waiting is not None:
        state = texts.restarting if one.waiting.for_restart else texts.in_line.format(ahead=one.waiting.ahead)
    row = texts.row.format(
        origin=texts.origins[one.origin], visitor=one.visitor[:20] or NO_FIGURE, state=state, seconds=now - one.began
    )
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(row)
        st.button(texts.cancel, key=f"cancel_{one.number}", type="tertiary", on_click=one.cancel)


def _draw_plots(samples: Sequence[Sample], texts: OperationsTexts) -> None:
    between = [interval(one, next_one) for one, next_one in pairwise(samples)]
    plots: dict[str, dict[str, Sequence[float | None]]] = {
        texts.tokens: {
            texts.tokens_in: [one.tokens_in for one in between],
            texts.tokens_out: [one.tokens_out for one in between],
        },
        texts.replies: {
            texts.writing: [one.load.active for one in samples[1:]],
            texts.waiting: [one.load.waiting for one in samples[1:]],
        },
        texts.times: {
            texts.first_token: [one.first_token for one in between],
            texts.between_tokens: [one.between_tokens for one in between],
        },
        texts.requests: {
            texts.all_requests: [60 * one.requests for one in between],
            texts.errors: [60 * one.errors for one in between],
        },
        texts.cache_tokens: {
            texts.used: [one.load.used_tokens for one in samples[1:]],
            texts.idle: [one.load.idle_tokens for one in samples[1:]],
        },
        texts.reused: {
            texts.reused: [None if one.reused is None else 100 * one.reused for one in between],
        },
    }
    left, right = st.columns(2)
    for number, (title, lines) in enumerate(plots.items()):
        with (left, right)[number % 2].container(border=True, gap="xxsmall"):
            st.caption(title)
            st.altair_chart(_plot(between, lines))


def _plot(between: Sequence[Interval], lines: dict[str, Sequence[float | None]]) -> alt.Chart:
    """The lines over the time of day, where the owner's server is, from zero up."""
    times = [datetime.fromtimestamp(one.time) for one in between]
    frame = pd.DataFrame(lines, index=times, dtype=float).interpolate(limit_area="inside")
    values = frame.rename_axis("time").reset_index().melt("time", var_name="line", value_name="value")
    top = frame.max(axis=None)
    chart: alt.Chart = (
        alt.Chart(values.dropna(), height=PLOT_HEIGHT)
        .mark_line()
        .encode(
            x=alt.X("time:T", title=None, axis=alt.Axis(format="%H:%M:%S", tickCount=4)),
            # Nothing but zeros would be drawn around zero, with negative numbers below.
            y=alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1.05 * top if top > 0 else 1])),
            color=alt.Color("line:N", title=None, sort=None, legend=alt.Legend(orient="bottom", offset=4)),
        )
    )
    return chart


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    """At most ``PLOT_POINTS`` of them, the newest among them: sending more every other second shows no more."""
    step = -(-len(samples) // PLOT_POINTS)
    return samples[::-1][::step][::-1]
