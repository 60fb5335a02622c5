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
