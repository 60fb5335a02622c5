"""When tokens came is kept in few points, however long the reply."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from components.chats.pace import MOST, Pace


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=1000))
def test_a_few_points_of_the_whole_are_kept(pieces: list[tuple[float, int]]) -> None:
    pace, moments = Pace(), list(accumulate(seconds for seconds, _ in pieces))
    totals = list(accumulate(tokens for _, tokens in pieces))
    for moment, (_, tokens) in zip(moments, pieces, strict=True):
        pace.note(moment, tokens)

    there = [(round(1000 * moment), total) for moment, total in zip(moments, totals, strict=True)]
    assert [point for point in there if point in pace.points] or not pieces
    assert all(point in there for point in pace.points)
    assert pace.points == sorted(pace.points)
    assert min(len(pieces), MOST // 2) <= len(pace.points) <= MOST
    if pieces:
        first, last = there.index(pace.points[0]), there.index(pace.points[-1])
        assert first == 0
        assert len(there) - last <= max(1, len(there) // (MOST // 2) + 1), "it reaches to the end"
