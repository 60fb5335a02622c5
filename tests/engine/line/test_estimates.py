"""Those who wait learn when it is their turn, as far as it was measured."""

import pytest

from components.engine.line.estimates import Estimates, Remaining


def test_before_anything_was_measured_nothing_is_said() -> None:
    assert Estimates().seconds_until([Remaining(0, 100)], [Remaining(0, 100), Remaining(0, 100)]) == [None, None]


def test_each_takes_the_place_that_is_free_first() -> None:
    estimates = Estimates()
    estimates.note_step(0.1, 2)
    active = [Remaining(40, 50), Remaining(0, 50)]  # 1 s and 5 s to go

    assert estimates.seconds_until(active, [Remaining(0, 20), Remaining(0, 50), Remaining(0, 50)]) == pytest.approx(
        [1.0, 3.0, 5.0]
    )


def test_a_step_for_many_is_not_taken_for_one_for_few() -> None:
    estimates = Estimates()
    for _ in range(50):
        estimates.note_step(0.01, 1)
        estimates.note_step(0.04, 8)

    (alone,) = estimates.seconds_until([Remaining(0, 100)], [Remaining(0, 1)])
    (among,) = estimates.seconds_until([Remaining(0, 100)] * 7, [Remaining(0, 1)])
    assert alone == pytest.approx(1.0)
    assert among == pytest.approx(4.0)


def test_replies_are_expected_to_be_as_long_as_those_before() -> None:
    estimates = Estimates()
    estimates.note_step(0.1, 1)
    estimates.note_reply(30)

    assert estimates.seconds_until([Remaining(10, 1000)], [Remaining(0, 1)]) == pytest.approx([2.0])


def test_a_long_prompt_is_reckoned_with() -> None:
    estimates = Estimates()
    estimates.note_step(0.1, 1)
    estimates.note_prefill(100, 1.0)

    assert estimates.seconds_until([Remaining(0, 10, prompt=500)], [Remaining(0, 1)]) == pytest.approx([6.0])


def test_where_a_place_is_free_the_first_begins_at_once() -> None:
    estimates = Estimates()
    estimates.note_step(0.1, 1)

    assert estimates.seconds_until([], [Remaining(0, 10), Remaining(0, 10)]) == pytest.approx([0.0, 1.0])


def test_nobody_waits_for_more_than_may_be_written() -> None:
    estimates = Estimates()
    estimates.note_step(0.1, 1)
    estimates.note_reply(1000)

    assert estimates.seconds_until([Remaining(10, 50)], [Remaining(0, 1)]) == pytest.approx([4.0])


def test_a_reply_that_is_longer_than_expected_may_end_with_every_token() -> None:
    estimates = Estimates()
    estimates.note_step(0.1, 1)
    estimates.note_reply(30)

    assert estimates.seconds_until([Remaining(500, 1000)], [Remaining(0, 1)]) == pytest.approx([0.1])


def test_the_last_ten_or_so_measurements_count() -> None:
    estimates = Estimates()
    estimates.note_step(1.0, 1)
    estimates.note_step(2.0, 1)  # 0.8 of the mean before and 0.2 of the newest
    estimates.note_reply(10)
    estimates.note_reply(20)
    estimates.note_prefill(10, 1.0)
    estimates.note_prefill(10, 2.0)

    assert estimates.seconds_until([Remaining(0, 100)], [Remaining(0, 1)]) == pytest.approx([1.2 * 12])
    assert estimates.seconds_until([Remaining(0, 100, prompt=100)], [Remaining(0, 1)]) == pytest.approx(
        [1.2 * 12 + 0.12 * 100]
    )
    for _ in range(30):
        estimates.note_step(5.0, 1)
    assert estimates.seconds_until([Remaining(0, 1)], [Remaining(0, 1)]) == pytest.approx([5.0], rel=0.01)
