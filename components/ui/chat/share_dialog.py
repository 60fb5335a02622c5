"""The dialog "Share": a link to what the page shows, as it is now, and the links that a reader made before."""

from datetime import datetime
from typing import get_args
from urllib.parse import urlsplit, urlunsplit

import segno
import streamlit as st

from components.access.address import page_url
from components.chats.chat import Chat
from components.chats.sharing import Expiry, NotKeptError, TooManySharesError, share, shared_by, withdraw
from components.markdown.escaping import escape_label
from components.paths import LAB
from components.store.errors import FullError, NotFoundError, StoreError
from components.store.shares import ShareEntry
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.zone import reader_zone
from components.ui.texts import Texts

_EXPIRY = "expiry"
_MADE = "made_share"
_PROBLEM = "share_problem"
"""In the session: the share that was just made, and why there is none."""

USUAL_EXPIRY: Expiry = "week"
QR_PIXELS = 180


def draw_share(chat: Chat, texts: Texts) -> None:
    """What the dialog holds."""
    share_texts = texts.share
    st.markdown(share_texts.about)
    st.segmented_control(
        share_texts.expiry,
        get_args(Expiry),
        default=USUAL_EXPIRY,
        format_func=lambda expiry: share_texts.expiries[expiry],
        key=_EXPIRY,
        required=True,
    )
    st.button(
        share_texts.make,
        key="make_link",
        type="primary",
        icon=":material/link:",
        on_click=_make,
        args=(chat, texts),
        width="stretch",
    )
    if (problem := st.session_state.pop(_PROBLEM, None)) is not None:
        st.warning(problem, icon=":material/error:")
    try:
        shares = shared_by(chat)
    except StoreError as error:
        st.warning(texts.store_away, icon=":material/cloud_off:")
        st.caption(str(error))
        return
    made = st.session_state.get(_MADE)
    for shared in shares:
        if shared.id == made and shared.conversation == chat.conversation.id:
            _draw_made(shared, texts)
    if shares:
        st.divider()
        st.markdown(f"**{share_texts.links}**")
        for shared in shares:
            _draw_listed(chat, shared, texts)


def address_of(share: str) -> str:
    """Where anybody reads it: beside the page, wherever the reader's browser finds that."""
    page = urlsplit(st.context.url or page_url())
    folder = page.path.rstrip("/").removesuffix(LAB)
    return urlunsplit((page.scheme, page.netloc, f"{folder}/s/{share}", "", ""))


def _make(chat: Chat, texts: Texts) -> None:
    try:
        st.session_state[_MADE] = share(chat, st.session_state[_EXPIRY]).id
    except NotKeptError:
        st.session_state[_PROBLEM] = texts.share.not_kept
    except TooManySharesError:
        st.session_state[_PROBLEM] = texts.share.too_many
    except FullError:
        st.session_state[_PROBLEM] = texts.full
    except NotFoundError:
        st.session_state[_PROBLEM] = texts.not_found
    except StoreError:
        st.session_state[_PROBLEM] = texts.store_away


def _draw_made(shared: ShareEntry, texts: Texts) -> None:
    address = address_of(shared.id)
    st.code(address, language=None, wrap_lines=True)
    picture = segno.make(address, error="m").svg_inline(scale=4, dark="#1f2933", light="#ffffff", border=3)
    with st.container(horizontal_alignment="center"):
        st.image(picture, width=QR_PIXELS, alt=texts.share.qr)


def _draw_listed(chat: Chat, shared: ShareEntry, texts: Texts) -> None:
    share_texts = texts.share
    title = escape_label(shared.title) or texts.title
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(gap=None):
            st.markdown(f"[{title}]({address_of(shared.id)})")
            st.caption(_until(shared, texts))
        st.button(
            share_texts.withdraw,
            key=f"withdraw_{shared.id}",
            icon=":material/link_off:",
            on_click=_withdraw,
            args=(chat, shared.id, texts),
        )


def _until(shared: ShareEntry, texts: Texts) -> str:
    if shared.expires is None:
        return texts.share.for_ever
    return texts.share.until.format(date=f"{datetime.fromtimestamp(shared.expires, reader_zone()):%Y-%m-%d %H:%M}")


def _withdraw(chat: Chat, shared: str, texts: Texts) -> None:
    with told_if_unkept(texts):
        withdraw(chat, shared)
