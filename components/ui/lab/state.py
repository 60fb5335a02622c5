"""What the lab's page remembers in a tab, and how a sheet is begun from there."""

from typing import Literal

import streamlit as st

from components.chats.controls import Controls
from components.engine.interface import Engine
from components.lab.jobs import AlreadyWritingError, Jobs, TooManySheetsError
from components.store.errors import StoreError
from components.store.sheets import Axis, Cell, Kind, Sheet, new_sheet_id
from components.ui.chat.opening import current_asker
from components.ui.texts import LabTexts

View = Literal["compare", "grid", "sheets"]

VIEW = "lab_view"
QUESTION = "lab_question"
"""Keys of widgets."""

_URL_NAME = "sheet"
_PROBLEM = "lab_problem"


def opened_sheet() -> str | None:
    """The id that the address names."""
    return st.query_params.get(_URL_NAME)


def open_sheet(sheet: str, kind: Kind) -> None:
    """For callbacks: show this sheet in the script run that follows."""
    st.query_params[_URL_NAME] = sheet
    st.session_state[VIEW] = kind


def close_sheet() -> None:
    """For callbacks: show none."""
    st.query_params.pop(_URL_NAME, None)


def tell_problem(problem: str) -> None:
    """For callbacks: say this in the script run that follows."""
    st.session_state[_PROBLEM] = problem


def show_problem() -> None:
    """What went wrong just now, if anything did."""
    if (problem := st.session_state.pop(_PROBLEM, None)) is not None:
        st.warning(problem, icon=":material/error:")


def begin_sheet(
    engine: Engine,
    jobs: Jobs,
    controls: Controls,
    kind: Kind,
    cells: list[Cell],
    texts: LabTexts,
    axes: tuple[Axis, ...] = (),
) -> None:
    """For callbacks: have a sheet written and show it, or say why that cannot be."""
    question = str(st.session_state.get(QUESTION) or "").strip()
    if not question:
        tell_problem(texts.no_question)
        return
    asker = current_asker()
    sheet = Sheet(
        new_sheet_id(), asker.reader, kind, question, cells, system=controls.system, model=engine.info.model, axes=axes
    )
    try:
        jobs.start(engine, asker, sheet)
    except AlreadyWritingError:
        tell_problem(texts.already)
    except TooManySheetsError:
        tell_problem(texts.too_many)
    except StoreError:
        tell_problem(texts.not_started)
    else:
        open_sheet(sheet.id, kind)
