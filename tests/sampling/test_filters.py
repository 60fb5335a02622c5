"""The filters are transformers'."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from components.sampling.filters import Cut, draw, filter_scores, penalize

Scores = NDArray[np.float64]

coarse = st.lists(st.integers(-8, 8), min_size=1, max_size=40).map(lambda whole: np.array(whole) / 2)
fine = st.lists(st.floats(-20, 20), min_size=1, max_size=40).map(np.array)
some_scores = st.one_of(coarse, fine)


def of_transformers(scores: Scores, temperature: float, top_k: int, top_p: float, min_p: float) -> Scores:
    """The probabilities that transformers' processors leave."""
    processors = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        processors.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        processors.append(TopPLogitsWarper(top_p))
    if min_p:
        processors.append(MinPLogitsWarper(min_p))
    filtered = processors(torch.zeros(1, 1, dtype=torch.long), torch.from_numpy(scores)[None])
    probabilities: Scores = filtered[0].softmax(-1).numpy()
    return probabilities


def near_a_boundary(scores: Scores, temperature: float, top_k: int, top_p: float, min_p: float) -> bool:
    """Whether rounding alone decides what top_p or min_p keep."""
    ranked = np.sort(scores)[::-1]
    if 0 < top_k < len(ranked):
        ranked = ranked[ranked >= ranked[top_k - 1]]
    weights = np.exp((ranked - ranked[0]) / temperature)
    reached = np.cumsum(weights) / weights.sum()
    return bool((np.abs(reached - top_p) < 1e-9).any() or (np.abs(weights - min_p) < 1e-9).any())


@given(
    some_scores,
    st.floats(0.05, 2),
    st.integers(0, 45),
    st.one_of(st.just(1.0), st.floats(0.01, 0.999)),
    st.one_of(st.just(0.0), st.floats(0.001, 1)),
)
@settings(max_examples=400, deadline=None)
def test_what_is_kept_and_how_likely_equals_transformers(
    scores: Scores, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    assume(top_p == 1 or not near_a_boundary(scores, temperature, top_k, top_p, -1))
    assume(min_p in (0, 1) or not near_a_boundary(scores, temperature, top_k, -1, min_p))
    wanted = of_transformers(scores, temperature, top_k, top_p, min_p)
    found = filter_scores(scores, temperature, top_k, top_p, min_p)

    # Among equal scores transformers leaves it to the sort which are kept: compare by rank.
    np.testing.assert_allclose(found.odds, np.sort(wanted)[::-1], atol=1e-9)
    assert (np.sort(scores)[::-1] == scores[found.order]).all()


@given(coarse, st.floats(0.1, 2), st.integers(0, 45), st.floats(0.01, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_equal_scores_stand_in_the_order_of_their_ids(
    scores: Scores, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    order = filter_scores(scores, temperature, top_k, top_p, min_p).order

    assert all(scores[a] > scores[b] or a < b for a, b in itertools.pairwise(order))


def test_each_cut_token_is_told_with_the_filter_that_cut_it() -> None:
    scores = np.log(np.array([0.05, 0.4, 0.2, 0.2, 0.1, 0.05]))
    found = filter_scores(scores, 1.0, top_k=5, top_p=0.75, min_p=0.6)
    told = {int(token): found.cut_by(rank) for rank, token in enumerate(found.order)}

    # Five are wanted, but the sixth is as likely as the fifth: none falls to top_k.
    assert told == {1: None, 2: Cut.MIN_P, 3: Cut.MIN_P, 4: Cut.TOP_P, 0: Cut.TOP_P, 5: Cut.TOP_P}
    assert filter_scores(scores, 1.0, top_k=4).cut_by(4) == Cut.TOP_K
    assert filter_scores(scores, 0.0).cut == {Cut.TEMPERATURE: 5}


@given(some_scores, st.floats(0.05, 2), st.floats(0.01, 0.999), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_of_candidates_the_same_is_kept_as_of_all(scores: Scores, temperature: float, top_p: float, count: int) -> None:
    """Given the candidates alone, and the total of all, the same tokens are kept as far as they are candidates."""
    everything = filter_scores(scores, temperature, top_p=top_p)
    candidates = np.sort(everything.order[:count])
    total = np.exp((scores - scores.max()) / temperature).sum()
    assume(not near_a_boundary(scores, temperature, 0, top_p, -1))
    found = filter_scores(scores[candidates], temperature, top_p=top_p, total=total)

    assert set(candidates[found.order[: found.kept]]) == set(everything.order[: min(everything.kept, count)])


def test_behind_top_k_the_probability_of_all_no_longer_counts() -> None:
    scores = np.log(np.array([0.5, 0.3, 0.2]))

    assert filter_scores(scores, 1.0, top_k=2, top_p=0.6, total=100.0).kept == 1


@given(some_scores, st.sampled_from([0.5, 0.9, 1.05, 1.3, 2.0]), st.sets(st.integers(0, 39), min_size=1))
@settings(max_examples=200, deadline=None)
def test_the_repetition_penalty_equals_transformers(scores: Scores, penalty: float, seen: set[int]) -> None:
    tokens = sorted(token for token in seen if token < len(scores))
    assume(tokens)
    wanted = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([tokens]), torch.from_numpy(scores)[None])[0]

    assert penalize(scores[tokens], penalty).tolist() == wanted[tokens].tolist()


@pytest.mark.parametrize(("uniform", "position"), [(0.0, 1), (0.24, 1), (0.26, 3), (1 - 2**-53, 3)])
def test_a_draw_never_falls_on_what_has_no_weight(uniform: float, position: int) -> None:
    assert draw(np.array([0.0, 1.0, 0.0, 3.0, 0.0]), uniform) == position
