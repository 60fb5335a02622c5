"""What the controls of the sidebar offer, given what is running, and what they are to show."""

from typing import cast

import streamlit as st

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
