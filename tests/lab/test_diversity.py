"""The figures of samples, against cases that were worked out by hand."""

import math

import pytest

from components.lab.diversity import Scored, diversity, numbered, repeated, rouge_l
from components.lab.pieces import words_of


def texts(*samples: str) -> list[Scored]:
    return [Scored(sample, len(sample.split())) for sample in samples]


def test_one_sample_twice_has_half_as_many_different_words_as_words() -> None:
    figures = diversity(texts("a b c d", "a b c d"))
    assert figures.distinct_1 == 4 / 8
    assert figures.distinct_2 == 3 / 6
    assert figures.overlap == 1.0


def test_samples_that_share_nothing_do_not_overlap() -> None:
    figures = diversity(texts("a b", "c d"))
    assert (figures.distinct_1, figures.distinct_2, figures.overlap) == (1.0, 1.0, 0.0)


def test_overlap_is_the_mean_f1_of_the_longest_common_subsequences() -> None:
    # a b c d / a c d e: "a c d" of 4 and 4 words; with "x" nothing.
    figures = diversity(texts("a b c d", "a c d e", "x"))
    assert figures.overlap == pytest.approx((2 * 3 / 8 + 0 + 0) / 3)


def test_chinese_is_counted_by_characters() -> None:
    assert diversity([Scored("床前明月光", 5), Scored("床前", 2)]).distinct_1 == 5 / 7


@pytest.mark.parametrize(
    ("text", "part"),
    [("a b c d", 0.0), ("a b c d a b c d", 1 / 5), ("a a a a a", 1 / 2), ("a b c", None)],
)
def test_repetition_is_the_part_of_four_words_that_stood_before(text: str, part: float | None) -> None:
    assert repeated(numbered([text.split()])[0], 4) == (None if part is None else pytest.approx(part))


def test_log_probabilities_are_averaged_over_tokens_not_samples() -> None:
    figures = diversity([Scored("a", 1, -1.0, 1), Scored("b c d", 3, -9.0, 3)])
    assert figures.logprob == -10 / 4
    assert figures.length == 2.0


def test_what_says_nothing_is_none() -> None:
    figures = diversity([Scored("", 0)])
    assert (figures.distinct_1, figures.distinct_2, figures.overlap, figures.logprob) == (None, None, None, None)
    assert not math.isnan(figures.length)


def test_an_empty_and_a_full_sample_share_nothing() -> None:
    one, other = numbered([words_of(""), words_of("a b")])
    assert rouge_l(one, other) == 0.0
    assert rouge_l(one, one) == 1.0
