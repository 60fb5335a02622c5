"""The sampling parameters as the lab shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.engine.interface import EngineInfo
from components.lab.grid import PARAMETERS
from components.ui.chat.sidebar import SLIDERS, default_of, slider_bounds
from components.ui.texts import Texts

_MIN_P_BOUNDS = (0.0, 1.0, 0.01)
"""The chat has no slider for it."""


def label_of(parameter: str, texts: Texts) -> str:
    """Its name for people."""
    return texts.labels.get(parameter) or texts.lab.min_p


def bounds_of(parameter: str, info: EngineInfo) -> tuple[float, float, float]:
    """Lowest and highest value and step of its slider."""
    return slider_bounds(parameter, info) if parameter in SLIDERS else _MIN_P_BOUNDS


def default_for(parameter: str, info: EngineInfo) -> float:
    """What the checkpoint recommends, of its slider's type."""
    return default_of(parameter, info) if parameter in SLIDERS else float(getattr(info.defaults, parameter))


def letter_of(number: int) -> str:
    """What a column or cell is called."""
    return chr(ord("A") + number)


def settings_line(sampling: Mapping[str, Any], names: Sequence[str], texts: Texts) -> str:
    """Some settings in one line."""
    return " · ".join(f"{label_of(name, texts)} {sampling[name]:g}" for name in names)


def differing(samplings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parameters in which some of them differ; all of them where none does."""
    names = [name for name in PARAMETERS if len({sampling[name] for sampling in samplings}) > 1]
    return names or list(PARAMETERS)
