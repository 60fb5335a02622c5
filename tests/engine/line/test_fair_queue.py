"""Visitors take turns, and nobody waits in a line that is too long."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.engine.errors import QueueFullError
from components.engine.line.fair_queue import RETRY_SECONDS, FairQueue, check_line
from components.engine.watching.activity import Origin


def test_visitors_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3"):
        queue.push("a", item)
    queue.push("b", "b1")
    queue.push("c", "c1")

    assert list(queue) == ["a1", "b1", "c1", "a2", "a3"]
    assert [queue.pop() for _ in range(len(queue))] == ["a1", "b1", "c1", "a2", "a3"]


def test_who_was_served_goes_behind_who_came_meanwhile() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.push("a", "a2")
    queue.push("b", "b1")
    assert queue.pop() == "a1"
    queue.push("c", "c1")

    assert list(queue) == ["b1", "a2", "c1"]


def test_an_item_can_leave_the_line() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.push("b", "b1")
    queue.remove("a1")
    queue.remove("never there")

    assert list(queue) == ["b1"]


def test_the_item_that_leaves_is_the_one_that_was_named() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3"):
        queue.push("a", item)
    queue.remove("a2")

    assert list(queue) == ["a1", "a3"]
    assert len(queue) == 2


def test_nothing_can_be_taken_from_an_empty_line() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.remove("a1")

    assert len(queue) == 0
    assert list(queue) == []
    with pytest.raises(KeyError):
        queue.pop()


STEPS = st.lists(st.one_of(st.sampled_from("abc"), st.just("pop"), st.integers(0, 30)), max_size=40)


@given(STEPS)
def test_the_order_that_is_foretold_is_the_order_in_which_all_are_served(steps: list[str | int]) -> None:
    """Pushes by three visitors, pops, and removals of the items with these numbers."""
    queue: FairQueue[tuple[str, int]] = FairQueue()
    pushed: list[tuple[str, int]] = []
    for step in steps:
        if step == "pop":
            if len(queue):
                foretold = list(queue)
                assert queue.pop() == foretold[0]
                pushed.remove(foretold[0])
        elif isinstance(step, int):
            item = next((one for one in pushed if one[1] == step), None)
            if item is not None:
                queue.remove(item)
                pushed.remove(item)
        else:
            item = (step, max((number for _, number in pushed), default=-1) + 1)
            queue.push(step, item)
            pushed.append(item)
    foretold = list(queue)

    assert len(queue) == len(foretold)
    assert [queue.pop() for _ in range(len(queue))] == foretold
    assert sorted(foretold, key=lambda one: one[1]) == pushed
    for visitor in "abc":  # each in the order of asking, and one of everybody else's at most between two
        own = [one for one in pushed if one[0] == visitor]
        assert [one for one in foretold if one[0] == visitor] == own
        places = [foretold.index(one) for one in own]
        assert all(later - earlier <= 3 for earlier, later in pairwise(places))


@pytest.mark.parametrize(
    ("origin", "waiting", "free_places", "longest", "refused"),
    [
        ("v1", 3, 0, 4, False),
        ("v1", 4, 0, 4, True),
        ("tutorial", 4, 0, 4, True),
        ("own", 5, 0, 4, True),
        ("page", 400, 0, 4, False),
        ("v1", 5, 2, 4, False),
        ("v1", 6, 2, 4, True),
        ("v1", 3, -2, 4, False),
        ("v1", 0, 0, 0, True),
        ("v1", 0, 1, 0, False),
    ],
)
def test_a_line_is_as_long_as_it_may_be_and_the_page_always_may(
    origin: Origin, waiting: int, free_places: int, longest: int, refused: bool
) -> None:
    if not refused:
        check_line(origin, waiting, free_places, longest)
        return
    with pytest.raises(QueueFullError, match=f"{longest} replies are waiting already") as error:
        check_line(origin, waiting, free_places, longest)
    assert error.value.retry_after == RETRY_SECONDS > 0
