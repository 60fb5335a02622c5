"""What a reader writes as the values of an axis, and the cells that come of it."""

import pytest

from components.lab.grid import MOST_VALUES, AxisError, axis_of, grid_cells
from components.sampling.parameters import SamplingParams


@pytest.mark.parametrize(
    ("text", "values"),
    [("0.3, 0.7 1.1", [0.3, 0.7, 1.1]), ("1，0.5、2", [1, 0.5, 2]), ("0.7 0.70, 0.7", [0.7]), (" 2 ", [2])],
)
def test_values_are_read_in_their_order_each_once(text: str, values: list[float]) -> None:
    assert axis_of("temperature", text).values == values


@pytest.mark.parametrize(
    "text", ["", " , ", "hot", "0.3, 99", "nan", " ".join(f"0.{n}" for n in range(1, MOST_VALUES + 2))]
)
def test_what_is_no_list_of_values_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(AxisError):
        axis_of("temperature", text)


def test_cells_come_row_by_row_and_keep_what_does_not_vary() -> None:
    cells = grid_cells(axis_of("top_k", "5 40"), axis_of("temperature", "0.3 1"), SamplingParams(min_p=0.1), 3)
    each = [(cell.sampling["top_k"], cell.sampling["temperature"], cell.sampling["min_p"]) for cell in cells]
    assert each == [(5, 0.3, 0.1), (40, 0.3, 0.1), (5, 1.0, 0.1), (40, 1.0, 0.1)]
    assert {len(cell.samples) for cell in cells} == {3}
