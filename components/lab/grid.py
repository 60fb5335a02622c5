"""What a grid asks: two parameters that vary, and every pair of their values."""

from collections.abc import Sequence

from pydantic import ValidationError

from components.sampling.parameters import SamplingParams
from components.store.sheets import Axis, Cell, Sample

PARAMETERS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""What can vary."""

USUAL_VALUES: dict[str, Sequence[float]] = {
    "temperature": (0.3, 0.7, 1.1),
    "top_p": (0.5, 0.85, 1.0),
    "top_k": (5, 40, 0),
    "min_p": (0.0, 0.05, 0.1),
    "repetition_penalty": (1.0, 1.05, 1.2),
}

MOST_VALUES, MOST_SAMPLES, MOST_TOKENS = 5, 4, 256
"""Of an axis, of a cell, and of a sample."""


class AxisError(ValueError):
    """A text is no list of values of its parameter."""


def axis_of(parameter: str, text: str) -> Axis:
    """Values that a reader wrote, separated by commas or blanks, each once.

    Raises:
        AxisError: one is no number, or outside the parameter's bounds, or there are none or too many.
    """
    try:
        numbers = [float(word) for word in text.replace("，", ",").replace("、", ",").replace(",", " ").split()]
        values = [getattr(SamplingParams.model_validate({parameter: number}), parameter) for number in numbers]
    except (ValueError, ValidationError) as error:
        raise AxisError(text) from error
    values = list(dict.fromkeys(values))
    if not 1 <= len(values) <= MOST_VALUES:
        raise AxisError(text)
    return Axis(parameter, values)


def grid_cells(across: Axis, down: Axis, sampling: SamplingParams, samples: int) -> list[Cell]:
    """The cells, row by row, with nothing written. What does not vary is as ``sampling`` says."""
    return [
        empty_cell(sampling.model_copy(update={across.parameter: x, down.parameter: y}), samples)
        for y in down.values
        for x in across.values
    ]


def empty_cell(sampling: SamplingParams, samples: int = 1) -> Cell:
    """A cell whose samples are still to be written."""
    return Cell(sampling.model_dump(mode="json"), [Sample()] * samples)
