"""Replies to one question side by side, with what one says otherwise than another marked."""

from collections.abc import Callable, Iterable, Sequence
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.lab.differences import Span, differences, share_that_differs
from components.lab.jobs import Jobs
from components.store.sheets import Cell, Sample, Sheet
from components.ui.chat.streaming import BlockWriter, draw_text
from components.ui.lab.keeping import draw_keeping
from components.ui.lab.parameters import differing, letter_of, settings_line
from components.ui.texts import Texts

_STYLE = """<style>
.lab-reply {white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.6}
.lab-reply mark {background: rgba(240, 160, 32, .3); color: inherit; border-bottom: 2px solid rgb(214, 130, 0)}
</style>"""
"""The line says what the colour says, for who sees no colours."""


def growing_columns(sheet: Sheet, texts: Texts) -> Callable[[Sheet], None]:
    """Draw the columns; what is given shows the replies as far as they are written, sending only what is new."""
    names = differing([cell.sampling for cell in sheet.cells])
    waiting: list[DeltaGenerator] = []
    writers: list[BlockWriter] = []
    for number, (column, cell) in enumerate(zip(st.columns(len(sheet.cells)), sheet.cells, strict=True)):
        with column.container(border=True, gap="small"):
            _draw_head(number, cell, names, texts)
            waiting.append(st.empty())
            waiting[-1].markdown(f":shimmer[{texts.lab.waiting}]")
            writers.append(BlockWriter(st.container()))

    def show(sheet: Sheet) -> None:
        for slot, writer, cell in zip(waiting, writers, sheet.cells, strict=True):
            if cell.samples[0].text:
                slot.empty()
                writer.write(cell.samples[0].text)

    return show


def draw_columns(jobs: Jobs, sheet: Sheet, texts: Texts) -> None:
    """The replies when they have ended."""
    letters = range(len(sheet.cells))
    with st.container(horizontal=True, vertical_alignment="center", gap="large"):
        marks = st.toggle(texts.lab.mark, value=True, key="lab_mark")
        base: int = st.segmented_control(
            texts.lab.base, letters, default=0, format_func=letter_of, key=f"lab_base_{sheet.id}", required=True
        )
    names = differing([cell.sampling for cell in sheet.cells])
    other = sheet.cells[base].samples[0].text
    st.html(_STYLE)
    for number, (column, cell) in enumerate(zip(st.columns(len(sheet.cells)), sheet.cells, strict=True)):
        with column.container(border=True, gap="small"):
            _draw_head(number, cell, names, texts)
            spans = differences(cell.samples[0].text, other) if marks else None
            draw_sample(cell.samples[0], texts, spans)
            if spans and number != base:
                percent = 100 * share_that_differs(spans)
                st.caption(texts.lab.differs.format(percent=percent, letter=letter_of(base)))
            draw_keeping(jobs, sheet, number, texts)


def draw_sample(sample: Sample, texts: Texts, spans: Sequence[Span] | None = None) -> None:
    """One reply, with what differs marked, or else as the chat shows it; and what became of it."""
    if spans is not None:
        st.html(f'<div class="lab-reply">{"".join(_marked(spans))}</div>')
    elif sample.text:
        draw_text(sample.text)
    if sample.end == "failed":
        st.warning(texts.errors["other"], icon=":material/error:")
        st.caption(sample.error)
    elif not sample.text:
        st.caption(texts.lab.stopped_sample if sample.end in (None, "cancelled") else texts.empty)
    elif sample.seconds is not None:
        figures = texts.lab.figures.format(tokens=sample.tokens, seconds=sample.seconds)
        ends = {**texts.ends, "length": texts.lab.at_longest}
        st.caption(f"{figures} · {ends[sample.end]}" if sample.end in ends else figures)


def _draw_head(number: int, cell: Cell, names: Sequence[str], texts: Texts) -> None:
    st.markdown(f"**{texts.lab.column.format(letter=letter_of(number))}**")
    st.caption(settings_line(cell.sampling, names, texts))


def _marked(spans: Sequence[Span]) -> Iterable[str]:
    for span in spans:
        text = escape(span.text)
        yield f"<mark>{text}</mark>" if span.differs else text
