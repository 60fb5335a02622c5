"""What the kept scores say is what the whole vocabulary's say, wherever they claim to suffice."""

import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from components.sampling.filters import Cut
from components.sampling.kept import KeptScores, StepScores
from components.sampling.parameters import SamplingParams
from components.sampling.what_if import Seen, greedy_difference, look
from tests.sampling.steps import Case, alone, cases, keep, random_case, real_odds, scores_of


def assert_within_its_error(case: Case) -> bool:
    """Whether the kept scores suffice, too."""
    outlook = look(case.step, len(case.scores), case.sampling, case.seen)
    real = real_odds(case)
    assert (np.abs(outlook.odds - real[outlook.ids]) <= outlook.errors + 1e-6).all()
    assert all(real[token] == 0 for token, cut in zip(outlook.ids, outlook.cut, strict=True) if cut is not None)
    return outlook.suffices


@given(cases())
@settings(max_examples=500, deadline=None)
def test_odds_lie_within_the_error_that_is_told(case: Case) -> None:
    assert_within_its_error(case)


def test_they_do_in_thousands_of_steps_and_mostly_suffice() -> None:
    chance = random.Random(1)
    suffice = [assert_within_its_error(random_case(chance)) for _ in range(4000)]
    assert sum(suffice) > 0.7 * len(suffice)
    suffice = [assert_within_its_error(alone(random_case(chance))) for _ in range(4000)]
    assert any(suffice), "without filters, or where nothing else can be likelier"


def zipf(vocabulary: int, seed: int) -> Case:
    """A step such as a model has, with 50 scores kept, under the sampling of most replies."""
    chance = np.random.default_rng(seed)
    scores = scores_of((10 - 2 * np.log(np.arange(1, vocabulary + 1)) + chance.normal(0, 1, vocabulary)).tolist())
    return Case(scores, keep(scores, 50, int(scores.argmax())), SamplingParams(repetition_penalty=1.0), Seen())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"repetition_penalty": 1.1},
        {"top_k": 0, "top_p": 0.6, "temperature": 0.6},
        {"top_k": 0, "top_p": 1.0, "min_p": 0.1, "temperature": 1.0},
        {"top_k": 0, "top_p": 1.0, "temperature": 0.3},
    ],
    ids=str,
)
def test_fifty_scores_suffice_for_usual_settings_of_a_large_vocabulary(changes: dict[str, float], seed: int) -> None:
    case = zipf(50_000, seed)
    case = replace(case, sampling=case.sampling.model_copy(update=changes), seen=Seen(frozenset({3, 5, 40_000})))
    assert assert_within_its_error(case)


def test_where_the_rest_counts_they_say_that_they_do_not_suffice() -> None:
    case = zipf(50_000, 0)
    case = replace(case, sampling=SamplingParams(temperature=1.8, top_k=0, top_p=1.0, repetition_penalty=1.0))
    assert not assert_within_its_error(case)


def test_without_filters_odds_are_bounded_though_a_hidden_token_may_be_the_likeliest() -> None:
    case = zipf(50, 0)
    case = replace(
        case,
        step=keep(case.scores, 3, int(case.scores.argmax())),
        sampling=SamplingParams(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=2.0),
        seen=Seen(frozenset(np.argsort(-case.scores)[:3].tolist())),
    )
    look_at = look(case.step, 50, case.sampling, case.seen)
    assert look_at.error < 0.1
    assert_within_its_error(case)


def test_each_token_is_told_with_the_filter_that_cut_it() -> None:
    scores = scores_of(np.log([0.05, 0.4, 0.2, 0.2, 0.1, 0.05]).tolist())
    sampling = SamplingParams(temperature=1, top_k=5, top_p=0.75, min_p=0.6, repetition_penalty=1.0)
    outlook = look(keep(scores, 6, 1), 6, sampling, Seen())

    told = dict(zip(outlook.ids.tolist(), outlook.cut, strict=True))
    assert told == {1: None, 2: Cut.MIN_P, 3: Cut.MIN_P, 4: Cut.TOP_P, 0: Cut.TOP_P, 5: Cut.TOP_P}


def test_the_token_that_came_is_known_though_it_is_not_among_the_likeliest() -> None:
    case = replace(zipf(500, 2), sampling=SamplingParams(temperature=1.5, top_k=0, top_p=1.0, repetition_penalty=1.0))
    case = replace(case, step=keep(case.scores, 50, int(case.scores.argmin())))

    outlook = look(case.step, 500, case.sampling, case.seen)
    assert outlook.ids[-1] == case.step.token
    assert outlook.odds_of(case.step.token) == pytest.approx(real_odds(case)[case.step.token], abs=1e-3)


def told_alone(probability: float) -> StepScores:
    """A step of a server that tells how likely the token was that came, and nothing else."""
    return StepScores.of_logprobs([], [], 3, math.log(probability))


PLAIN = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0)


def test_a_token_of_which_no_other_is_told_has_its_own_odds() -> None:
    unlikely, likely = look(told_alone(0.2), 500, PLAIN, Seen()), look(told_alone(0.8), 500, PLAIN, Seen())

    for outlook, odds in ((unlikely, 0.2), (likely, 0.8)):
        assert (outlook.ids.tolist(), outlook.cut) == ([3], [None])
        assert outlook.odds_of(3) == pytest.approx(odds, abs=1e-4)
        assert outlook.suffices


def test_others_may_have_been_likelier_than_a_token_that_is_told_alone() -> None:
    """By as much as is left: what is likelier than half is the likeliest, and of the rest nobody knows."""
    greedy = PLAIN.model_copy(update={"temperature": 0.0})
    one = PLAIN.model_copy(update={"top_k": 1})
    for sampling in (greedy, one):
        outlook = look(told_alone(0.2), 500, sampling, Seen())
        assert outlook.odds_of(3) == pytest.approx(0.2), "as the model gave it"
        assert outlook.error == pytest.approx(0.8), "it may have been cut, or the only one left"
        assert look(told_alone(0.8), 500, sampling, Seen()).odds_of(3) == 1.0
    kept = KeptScores(0, [told_alone(0.8), told_alone(0.2)])
    assert greedy_difference(kept, PLAIN, ()) == (1, False)


@pytest.mark.parametrize("sampling", [PLAIN, SamplingParams(), SamplingParams(temperature=0.0)], ids=str)
def test_a_token_of_which_nothing_is_told_has_no_odds(sampling: SamplingParams) -> None:
    nothing = StepScores.of_logprobs([], [], 3, None)
    outlook = look(nothing, 500, sampling, Seen(counts=Counter({3: 1})))

    assert not nothing.is_known
    assert (len(outlook.ids), len(outlook.odds), outlook.suffices) == (0, 0, False)
    others = look(StepScores.of_logprobs([5, 6], [-0.5, -2.0], 3, None), 500, sampling, Seen())
    assert others.ids.tolist() == [5, 6], "the others have theirs"
    kept = KeptScores(0, [told_alone(0.8), nothing])
    assert greedy_difference(kept, PLAIN, ()) == (1, False)


def test_a_greedy_reply_differs_first_where_another_token_is_the_likeliest() -> None:
    rows = [scores_of([3, 2, 1]), scores_of([2.2, 2, 1]), scores_of([2, 3, 1])]
    kept = KeptScores(3, [keep(row, 3, token) for row, token in zip(rows, (0, 0, 0), strict=True)])

    assert greedy_difference(kept, SamplingParams(repetition_penalty=1.0), ()) == (2, True)
    assert greedy_difference(kept, SamplingParams(repetition_penalty=1.2), ()) == (1, True)
    assert greedy_difference(KeptScores(3, kept.steps[:2]), SamplingParams(repetition_penalty=1.0), ()) == (None, True)
    assert greedy_difference(kept, SamplingParams(repetition_penalty=1.2), {0, 1, 2}) == (2, True)
    narrow = KeptScores(3, [keep(rows[0], 1, 0), keep(rows[1], 1, 0)])
    assert greedy_difference(narrow, SamplingParams(repetition_penalty=1.2), ()) == (1, False)


def test_rounded_scores_are_within_the_error_that_is_told() -> None:
    """Scores are sent to the browser rounded, and the error covers that."""
    chance = random.Random(7)
    for _ in range(2000):
        case = random_case(chance)
        off = chance.choice((1e-4, 0.01, 0.1))
        exact = case.step.scores.astype(np.float64)
        rounded = exact[0] - np.round((exact[0] - exact) / off) * off
        step = replace(case.step, scores=rounded.astype(np.float32))
        errors = np.where(rounded == exact, 0.0, off / 2 + 1e-5)
        outlook = look(step, len(case.scores), case.sampling, case.seen, errors)
        real = real_odds(case)
        assert np.abs(outlook.odds - real[outlook.ids]).max() <= outlook.error + 1e-6


def test_what_is_seen_counts_once_in_prompt_and_reply() -> None:
    seen = Seen(frozenset({1, 2}), Counter({2: 3, 7: 1}))

    assert seen.hidden({2}, SamplingParams(repetition_penalty=1.1)) == 2
    assert seen.hidden({2}, SamplingParams(repetition_penalty=1.0, presence_penalty=1.0)) == 1
    assert seen.hidden({2}, SamplingParams(repetition_penalty=1.0)) == 0
