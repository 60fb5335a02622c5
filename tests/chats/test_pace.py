"""When tokens came is kept in few points, however long the reply."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from components.chats.pace import MOST, Pace


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=50), st.integers(1, 40))
def test_a_few_points_of_the_whole_are_kept(some: list[tuple[float, int]], times: int) -> None:
    pieces = some * times
    pace, moments = Pace(), list(accumulate(seconds for seconds, _ in pieces))
    totals = list(accumulate(tokens for _, tokens in pieces))
    for moment, (_, tokens) in zip(moments, pieces, strict=True):
        pace.note(moment, tokens)

    there = [(round(1000 * moment), total) for moment, total in zip(moments, totals, strict=True)]
    assert pace.points in [there[:: 2**n] for n in range(12)], "evenly spread, from the first on"
    assert min(len(pieces), MOST // 2) <= len(pace.points) <= MOST
