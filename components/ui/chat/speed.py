"""How fast a reply was written, as small plots: where its time went, what of its prompt was known, tokens a second."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import altair as alt
import pandas as pd
import streamlit as st

from components.chats.records import finished_of, pace_of
from components.engine.events import Finished
from components.store.rows import Message, Reply
from components.ui.texts import PaceTexts, Texts

BAR_HEIGHT = 125
"""In pixels, with its axis and its legend."""

LINE_HEIGHT = 150

STRETCHES = 24
"""Stretches of a reply in which speed is told: more would show how unevenly the machine's clock and network tick."""


def draw_speed(message: Message, reply: Reply, texts: Texts) -> None:
    """The plots of ``message``, folded up. They are made when somebody opens them."""
    words = texts.pace
    plots = st.expander(words.title, icon=":material/speed:", key=f"speed_{message.id}", on_change="rerun")
    if not plots.open:
        return
    with plots:
        finished = finished_of(reply)
        if finished is None or finished.time_to_first_token is None:
            st.caption(words.unknown)
            return
        st.caption(f"{words.time} ({words.seconds})")
        st.altair_chart(_bar(_times(finished, words)))
        st.caption(words.prompt)
        known = min(finished.reused_tokens, finished.prompt_tokens)
        st.altair_chart(_bar({words.reused: known, words.read: finished.prompt_tokens - known}))
        if speeds := _speeds(pace_of(reply)):
            st.caption(words.speed)
            st.altair_chart(_line(speeds, words))


def _times(finished: Finished, words: PaceTexts) -> dict[str, float]:
    first = finished.time_to_first_token or 0.0
    waited = min(finished.waited, first)
    return {words.waiting: waited, words.reading: first - waited, words.writing: max(0.0, finished.seconds - first)}


def _speeds(points: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Seconds since the request, and tokens a second around then."""
    step = max(1, len(points) // STRETCHES)
    chosen = [*points[:-1:step], *points[-1:]]
    return [
        ((one[0] + other[0]) / 2000, 1000 * (other[1] - one[1]) / (other[0] - one[0]))
        for one, other in pairwise(chosen)
        if other[0] > one[0]
    ]


def _bar(parts: Mapping[str, float]) -> alt.Chart:
    """One bar of several parts, named below it."""
    frame = pd.DataFrame({"part": list(parts), "value": list(parts.values()), "order": range(len(parts))})
    chart: alt.Chart = (
        alt.Chart(frame, height=BAR_HEIGHT)
        .mark_bar()
        .encode(
            x=alt.X("value:Q", title=None, axis=alt.Axis(tickCount=4), scale=alt.Scale(nice=False)),
            color=alt.Color("part:N", title=None, sort=None, legend=alt.Legend(orient="bottom", offset=4)),
            order="order:Q",
            tooltip=[alt.Tooltip("part:N", title=" "), alt.Tooltip("value:Q", title="=", format=",.2~f")],
        )
    )
    return chart


def _line(speeds: Sequence[tuple[float, float]], words: PaceTexts) -> alt.Chart:
    frame = pd.DataFrame(speeds, columns=["seconds", "speed"])
    chart: alt.Chart = (
        alt.Chart(frame, height=LINE_HEIGHT)
        .mark_line(point=True)
        .encode(
            x=alt.X("seconds:Q", title=words.seconds, axis=alt.Axis(tickCount=5)),
            y=alt.Y("speed:Q", title=None, scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=4)),
            tooltip=[
                alt.Tooltip("seconds:Q", title=words.seconds, format=".1f"),
                alt.Tooltip("speed:Q", title=words.rate, format=".1f"),
            ],
        )
    )
    return chart
