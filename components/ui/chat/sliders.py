"""What the controls of the sidebar offer, given what is running, and what they are to show."""

from collections.abc import Mapping
from typing import cast

import streamlit as st
from streamlit.runtime.state import get_session_state

from components.chats.controls import Controls
from components.engine.interface import EngineInfo
from components.sampling.parameters import MAX_SEED, SamplingParams
from components.store.rows import Conversation

SLIDERS = [name for name, field in SamplingParams.model_fields.items() if field.json_schema_extra]
"""The sampling parameters that have a slider. Its widget's key, and its name in the URL, is the parameter's name."""

SEED = "seed"
SYSTEM = "system"
"""The keys of the fields for the seed and the system prompt. The seed stands in the URL, too."""


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
        value = kept.get(name)
        st.session_state[name] = fit(name, value if isinstance(value, int | float) else default_of(name, info), info)
    if not (keep_address and SEED in st.query_params):
        seed = kept.get(SEED)
        st.session_state[SEED] = seed if isinstance(seed, int) and 0 <= seed <= MAX_SEED else None
    st.session_state[SYSTEM] = conversation.system


def controls_of(values: Mapping[str, float], seed: int | None, system: str) -> Controls:
    """What the sliders and fields say."""
    sampling = {name: rounded(value) for name, value in values.items()} | {SEED: seed}
    return Controls(SamplingParams.model_validate(sampling), system.strip())


def rounded(value: float) -> float:
    """What a browser says of a slider that was moved in steps: 0.15000000000000002 is 0.15."""
    return round(value, 6)


def shown_controls() -> Controls | None:
    """For callbacks: what they say at this click; None on pages that do not have them."""
    shown = st.session_state
    if any(name not in shown for name in (*SLIDERS, SEED, SYSTEM)):
        return None
    return controls_of({name: shown[name] for name in SLIDERS}, shown[SEED], shown[SYSTEM])


def show_in_address(name: str, value: str, info: EngineInfo) -> None:
    """Have the address say this under ``name``, and what the sliders are to show, in one step of the browser's history.

    Said one after the other, as Streamlit would, "Back" would lead to one conversation with another's settings; and
    there what the address said then would count more than what is kept. That takes what Streamlit has for itself: with
    a widget's own part of the address it lets nobody else meddle.
    """
    with get_session_state().query_params() as query:
        for slider in SLIDERS:
            number = st.session_state[slider]
            query.discard_param_no_forward_msg(slider)
            if number != default_of(slider, info):
                query.set_with_no_forward_msg(slider, [f"{number:.10g}"])
        query.discard_param_no_forward_msg(SEED)
        if st.session_state[SEED] is not None:
            query.set_with_no_forward_msg(SEED, str(st.session_state[SEED]))
        query[name] = value
        query.set_initial_query_params_from_current()


def slider_bounds(name: str, info: EngineInfo) -> tuple[float, float, float]:
    """Lowest and highest value and step of a slider; the longest reply leaves room for a question in the context."""
    low, high, step = _declared(name)
    if name == "max_new_tokens":
        high = max(low, min(high, info.context_length - step) // step * step)
    default = default_of(name, info)
    return min(low, default), max(high, default), step


def default_of(name: str, info: EngineInfo) -> float:
    """What the checkpoint recommends, of the type that its slider has: checkpoints write 1 for 1.0."""
    return type(_declared(name)[0])(getattr(info.defaults, name))


def fit(name: str, value: float, info: EngineInfo) -> float:
    """The nearest to ``value`` that the slider can show, of its type."""
    low, high, _ = slider_bounds(name, info)
    return type(low)(min(max(value, low), high))


def _declared(name: str) -> tuple[float, float, float]:
    extra = cast("dict[str, tuple[float, float, float]]", SamplingParams.model_fields[name].json_schema_extra)
    return extra["slider"]
