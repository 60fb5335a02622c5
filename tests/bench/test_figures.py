"""What a table boils down to."""

import pytest

from bench.figures import paired_ratio, percentile


def test_a_percentile_lies_between_two_values_where_it_falls_between() -> None:
    seconds = [5.0, 1.0, 4.0, 2.0, 3.0]

    assert percentile(seconds, 50) == 3.0
    assert percentile(seconds, 95) == pytest.approx(4.8)
    assert percentile(seconds, 100) == 5.0
    assert percentile([7.0], 95) == 7.0


def test_a_ratio_compares_within_a_round() -> None:
    """The machine ran at half its speed in the second round; who is compared was always twice as fast."""
    assert paired_ratio([20.0, 10.0, 20.0], [10.0, 5.0, 10.0]) == 2.0
    assert paired_ratio([10.0, 80.0, 30.0], [10.0, 10.0, 10.0]) == 3.0


def test_rounds_that_do_not_match_are_not_compared() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired_ratio([1.0, 2.0], [1.0])
