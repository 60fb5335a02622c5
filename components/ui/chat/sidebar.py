"""The sidebar: a new chat, the language, how to sample, the system prompt, and what is running."""

from collections.abc import Callable
from typing import cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.chats.chat import Controls
from components.engine.interface import EngineInfo
from components.sampling.parameters import MAX_SEED, SamplingParams
from components.settings import get_settings
from components.store.rows import Conversation
from components.ui.language import draw_language_switch
from components.ui.reader import draw_sign_out
from components.ui.texts import Texts

SLIDERS = [name for name, field in SamplingParams.model_fields.items() if field.json_schema_extra]
"""The sampling parameters that have a slider. Its widget's key, and its name in the URL, is the parameter's name."""

_SEED = "seed"
_SYSTEM = "system"


def draw_sidebar(info: EngineInfo, texts: Texts, on_new_chat: Callable[[], None]) -> tuple[Controls, DeltaGenerator]:
    """Draw the sidebar; gives what its settings say, and where the conversations are to be listed.

    Two tabs, since one below the other neither the sliders nor the conversations would be in sight.
    """
    with st.sidebar:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.button(texts.new_chat, icon=":material/edit_square:", key="new_chat", on_click=on_new_chat)
            draw_language_switch(texts)
        settings, chats = st.tabs([texts.sampling, texts.chats])
        with settings:
            controls = _draw_controls(info, texts)
        st.caption(_about(info, texts))
        draw_sign_out(texts)
    return controls, chats


def _draw_controls(info: EngineInfo, texts: Texts) -> Controls:
    with st.container(gap="small"):
        values = {name: _draw_slider(name, info, texts) for name in SLIDERS}
        seed = _draw_seed(texts)
        st.button(texts.reset, icon=":material/restart_alt:", key="reset", on_click=_reset, args=(info,))
    system: str = st.text_area(
        texts.system,
        key=_SYSTEM,
        help=texts.system_help,
        placeholder=texts.system_placeholder,
        height=100,
        max_chars=get_settings().max_question_chars,
    )
    return Controls(SamplingParams.model_validate({**values, "seed": seed}), system.strip())


def show_controls(conversation: Conversation, info: EngineInfo, *, keep_address: bool) -> None:
    """Before the sidebar is drawn: have it show what this conversation was last asked with.

    Args:
        conversation: the one that is opened.
        info: what is running.
        keep_address: whether what the address says counts more.
    """
    kept = conversation.sampling
    for name in SLIDERS:
        if keep_address and name in st.query_params:
            continue
        low, high, _ = slider_bounds(name, info)
        default = default_of(name, info)
        value = kept.get(name)
        if not isinstance(value, int | float):
            value = default
        st.session_state[name] = type(default)(min(max(value, low), high))
    if not (keep_address and _SEED in st.query_params):
        seed = kept.get(_SEED)
        st.session_state[_SEED] = seed if isinstance(seed, int) and 0 <= seed <= MAX_SEED else None
    st.session_state[_SYSTEM] = conversation.system


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
    return round(value, 6)  # the browser's 0.15000000000000002


def _draw_seed(texts: Texts) -> int | None:
    return st.number_input(
        texts.labels[_SEED],
        min_value=0,
        max_value=MAX_SEED,
        value=None,
        step=1,
        key=_SEED,
        placeholder=texts.seed_placeholder,
        help=texts.help[_SEED],
        on_change="ignore",
        bind="query-params",
    )


def slider_bounds(name: str, info: EngineInfo) -> tuple[float, float, float]:
    """Lowest and highest value and step of a slider; the longest reply leaves room for a question in the context."""
    extra = cast("dict[str, tuple[float, float, float]]", SamplingParams.model_fields[name].json_schema_extra)
    low, high, step = extra["slider"]
    if name == "max_new_tokens":
        high = max(low, min(high, info.context_length - step) // step * step)
    default = default_of(name, info)
    return min(low, default), max(high, default), step


def default_of(name: str, info: EngineInfo) -> float:
    """What the checkpoint recommends, of the type that its slider has: checkpoints write 1 for 1.0."""
    extra = cast("dict[str, tuple[float, float, float]]", SamplingParams.model_fields[name].json_schema_extra)
    return type(extra["slider"][0])(getattr(info.defaults, name))


def _reset(info: EngineInfo) -> None:
    for name in SLIDERS:
        st.session_state[name] = default_of(name, info)
    st.session_state[_SEED] = None


def _about(info: EngineInfo, texts: Texts) -> str:
    return texts.about.format(model=info.model, device=info.device, dtype=info.dtype, context=info.context_length)
