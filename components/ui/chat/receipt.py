"""What a reply came from, for those who want to know, and a replay of it."""

import streamlit as st

from components.engine.errors import EngineError
from components.engine.interface import Engine
from components.engine.receipts import Receipt
from components.engine.replay import replay
from components.ui.texts import Texts


def draw_receipt(receipt: Receipt, message: int, engine: Engine, texts: Texts) -> None:
    """The receipt of the reply ``message``, folded up."""
    with st.expander(texts.receipt, icon=":material/receipt_long:", key=f"receipt_{message}"):
        st.caption(texts.receipt_help)
        st.caption(_about_replays(receipt, texts))
        with st.container(horizontal=True, gap="small"):
            # Without token ids there is nothing to compare with.
            again = bool(receipt.tokens) and st.button(texts.replay, key=f"replay_{message}", icon=":material/replay:")
            st.download_button(
                texts.save,
                receipt.to_json(),
                key=f"save_{message}",
                file_name="receipt.json",
                mime="application/json",
                icon=":material/download:",
                on_click="ignore",
            )
        if again:
            _draw_replay(receipt, engine, texts)
        st.json(receipt.to_json(), expanded=1)


def _about_replays(receipt: Receipt, texts: Texts) -> str:
    if not receipt.tokens:
        return texts.replay_impossible
    return texts.replay_exact if receipt.exact else texts.replay_inexact


def _draw_replay(receipt: Receipt, engine: Engine, texts: Texts) -> None:
    try:
        with st.spinner(texts.replaying):
            result = replay(engine, receipt)
    except EngineError as error:
        st.warning(texts.not_replayed)
        st.caption(str(error))
        return
    if result.difference is None:
        st.success(texts.replay_same.format(tokens=len(receipt.tokens)), icon=":material/check:")
        return
    st.warning(texts.replay_differs.format(place=result.difference + 1), icon=":material/difference:")
    st.text(result.text)
