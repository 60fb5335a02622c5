"""Below a sheet: a link for others, who read and vote, and what they voted for."""

from datetime import datetime
from typing import get_args

import streamlit as st

from components.chats.asker import Asker
from components.chats.sharing import Expiry, TooManySharesError
from components.lab.jobs import Jobs
from components.lab.sharing import links_of, share_sheet, votes_on, withdraw_sheet
from components.store.errors import NotFoundError, StoreError
from components.store.sheet_shares import SheetShare
from components.store.sheets import Sheet
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.share_dialog import USUAL_EXPIRY, address_of
from components.ui.chat.zone import reader_zone
from components.ui.lab.parameters import letter_of, settings_line
from components.ui.lab.state import tell_problem
from components.ui.texts import Texts

_EXPIRY = "lab_expiry"


def draw_sharing(jobs: Jobs, asker: Asker, sheet: Sheet, texts: Texts) -> None:
    """The votes, the links to this sheet, and a new one."""
    try:
        votes = votes_on(jobs.database, asker.reader, sheet.id)
        links = [link for link, _ in links_of(jobs.database, asker.reader) if link.sheet == sheet.id]
    except (StoreError, NotFoundError):
        return  # the page says so where the sheet itself cannot be read
    with st.expander(texts.lab.share, icon=":material/how_to_vote:", expanded=bool(links or votes)):
        st.markdown(texts.lab.share_about)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.segmented_control(
                texts.share.expiry,
                get_args(Expiry),
                default=USUAL_EXPIRY,
                format_func=lambda expiry: texts.share.expiries[expiry],
                key=_EXPIRY,
                required=True,
            )
            st.button(
                texts.share.make,
                key="lab_share",
                icon=":material/link:",
                on_click=_share,
                args=(jobs, asker, sheet, texts),
            )
        for link in links:
            _draw_link(jobs, asker, link, texts)
        if links or votes:
            named = ", ".join(f"{_name(sheet, cell, texts)}: {count}" for cell, count in sorted(votes.items()))
            st.caption(texts.lab.votes.format(votes=named) if named else texts.lab.no_votes)


def _name(sheet: Sheet, cell: int, texts: Texts) -> str:
    if sheet.kind == "compare":
        return texts.lab.column.format(letter=letter_of(cell))
    return settings_line(sheet.cells[cell].sampling, [axis.parameter for axis in sheet.axes], texts)


def _draw_link(jobs: Jobs, asker: Asker, link: SheetShare, texts: Texts) -> None:
    st.code(address_of(link.id), language=None, wrap_lines=True)
    until = texts.share.for_ever
    if link.expires is not None:
        date = f"{datetime.fromtimestamp(link.expires, reader_zone()):%Y-%m-%d %H:%M}"
        until = texts.share.until.format(date=date)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(until)
        st.button(
            texts.share.withdraw,
            key=f"lab_withdraw_{link.id}",
            icon=":material/link_off:",
            type="tertiary",
            on_click=_withdraw,
            args=(jobs, asker, link.id, texts),
        )


def _share(jobs: Jobs, asker: Asker, sheet: Sheet, texts: Texts) -> None:
    try:
        share_sheet(jobs.database, asker.reader, sheet.id, st.session_state[_EXPIRY])
    except TooManySharesError:
        tell_problem(texts.share.too_many)
    except NotFoundError:
        tell_problem(texts.lab.gone)
    except StoreError:
        tell_problem(texts.store_away)


def _withdraw(jobs: Jobs, asker: Asker, share: str, texts: Texts) -> None:
    with told_if_unkept(texts):
        withdraw_sheet(jobs.database, asker.reader, share)
