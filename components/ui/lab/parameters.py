"""The sampling parameters as the lab shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.lab.grid import PARAMETERS
from components.ui.texts import Texts


def label_of(parameter: str, texts: Texts) -> str:
    """Its name for people."""
    return texts.labels[parameter]


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
