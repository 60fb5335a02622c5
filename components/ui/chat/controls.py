"""The controls of the sidebar: presets, a slider for each sampling parameter, the seed, and the system prompt."""

import streamlit as st

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.engine.interface import EngineInfo
from components.sampling.parameters import MAX_SEED
from components.settings import get_settings
from components.ui.chat.presets import draw_presets
from components.ui.chat.sliders import SEED, SLIDERS, SYSTEM, controls_of, default_of, rounded, slider_bounds
from components.ui.texts import Texts

RARE = ("min_p", "presence_penalty", "frequency_penalty")
"""Sliders that are folded up: few need them."""


def draw_controls(chat: Chat, info: EngineInfo, texts: Texts) -> Controls:
    """Draw them; gives what they say."""
    with st.container(gap="small"):
        presets = st.container()
        values = {name: _draw_slider(name, info, texts) for name in SLIDERS if name not in RARE}
        with st.expander(texts.presets.more, icon=":material/tune:", key="more_settings"):
            values |= {name: _draw_slider(name, info, texts) for name in RARE}
        seed = _draw_seed(texts)
        st.button(texts.reset, icon=":material/restart_alt:", key="reset", on_click=_reset, args=(info,))
    with presets:
        draw_presets(chat, info, values, seed, texts)
    system: str = st.text_area(
        texts.system,
        key=SYSTEM,
        help=texts.system_help,
        placeholder=texts.system_placeholder,
        height=100,
        max_chars=get_settings().max_question_chars,
    )
    return controls_of(values, seed, system)


def _draw_slider(name: str, info: EngineInfo, texts: Texts) -> float:
    low, high, step = slider_bounds(name, info)
    value: float = st.slider(
        texts.labels[name],
        low,
        high,
        value=default_of(name, info),
        step=step,
        key=name,
        help=texts.help[name],
        # The longest reply decides what fits the context, which the page shows; the others count at the next question.
        on_change="rerun" if name == "max_new_tokens" else "ignore",
        bind="query-params",
    )
    return rounded(value)


def _draw_seed(texts: Texts) -> int | None:
    return st.number_input(
        texts.labels[SEED],
        min_value=0,
        max_value=MAX_SEED,
        value=None,
        step=1,
        key=SEED,
        placeholder=texts.seed_placeholder,
        help=texts.help[SEED],
        on_change="ignore",
        bind="query-params",
    )


def _reset(info: EngineInfo) -> None:
    for name in SLIDERS:
        st.session_state[name] = default_of(name, info)
    st.session_state[SEED] = None
