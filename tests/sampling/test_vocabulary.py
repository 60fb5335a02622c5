"""What is found by blocks is what is found by looking at every token."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.sampling.vocabulary import Scores


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Scores with ties, with tokens that are ruled out, and of vocabularies that do not fill the last block."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    scores = torch.randn(draw(st.integers(1, 4)), draw(st.sampled_from([1, 50, 64, 200, 640])), generator=random)
    if draw(st.booleans()):
        scores = scores.mul(4).round().div(4)
    if draw(st.booleans()):
        scores[:, 1::2] = -torch.inf
    return scores


@given(tensors(), st.integers(1, 700), st.integers(0, 12), st.booleans(), st.data())
@settings(max_examples=200, deadline=None)
def test_candidates_are_all_tokens_from_a_threshold_on_or_so_many_of_the_likeliest(
    scores: torch.Tensor, count: int, looked_for: int, is_limited: bool, data: st.DataObject
) -> None:
    found = Scores(scores)
    found.look_for(looked_for)
    rows = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, unique=True))
    thresholds = [found.threshold(row, count) for row in rows]
    counts = [count if is_limited else None] * len(rows)

    for row, threshold, (ids, values) in zip(rows, thresholds, found.at_least(rows, thresholds, counts), strict=True):
        possible = scores[row] > -torch.inf
        wanted = torch.nonzero((scores[row] >= threshold) & possible).flatten().tolist()
        assert len(wanted) >= min(count, int(possible.sum()))
        if is_limited:
            wanted = sorted(sorted(wanted, key=lambda token: -float(scores[row, token]))[:count])
        assert ids.tolist() == wanted
        assert values.tolist() == scores[row, wanted].tolist()


@given(tensors(), st.sampled_from([0.3, 1.0, 2.0]), st.data())
@settings(max_examples=150, deadline=None)
def test_draws_before_a_pivot_follow_the_weights_of_those_tokens(
    scores: torch.Tensor, temperature: float, data: st.DataObject
) -> None:
    found = Scores(scores)
    row = len(scores) - 1
    line = scores[row].double().numpy()
    order = np.lexsort((np.arange(len(line)), -line))[: int((line > -np.inf).sum())]
    rank = data.draw(st.integers(0, len(order)))
    weights = np.exp((line - line.max()) / temperature)
    if rank == len(order):
        pivot, masses = None, found.masses([row], [temperature]).numbers[0]
    else:
        pivot = (float(line[order[rank]]), int(order[rank]))
        masses = found.masses_before(row, temperature, pivot)
        weights[order[rank:]] = 0
    np.testing.assert_allclose(masses.sum(), weights.sum(), rtol=1e-5, atol=1e-12)
    if not weights.any():
        return
    cumulative = np.cumsum(weights) / weights.sum()
    for uniform in (0.0, 0.25, 0.5, 0.9, 1 - 2**-53):
        ((score, token),) = found.draw([row], [masses], [temperature], [uniform], [pivot])
        assert weights[token] > 0
        assert score == line[token]
        assert cumulative[token] >= uniform - 1e-5
        assert cumulative[token] - weights[token] / weights.sum() <= uniform + 1e-5


@given(tensors(), st.integers(1, 700), st.booleans(), st.data())
@settings(max_examples=150, deadline=None)
def test_the_likeliest_come_in_order_and_the_others_as_one_sum(
    scores: torch.Tensor, count: int, is_changed: bool, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, unique=True))
    rows = [row for row in rows if scores[row].max() > -torch.inf] or [0]
    now = scores.clone()
    found = Scores(now)
    if is_changed:  # what was looked for is told as it was then
        found.look_for(count)
        found.look_for_top(rows)
        now.fill_(7.0)
    tops = found.top(rows, [count] * len(rows))
    for row, (ids, values, rest) in zip(rows, tops, strict=True):
        ranked = sorted(range(scores.shape[1]), key=lambda token: (-float(scores[row, token]), token))
        wanted = [token for token in ranked if scores[row, token] > -torch.inf][:count]
        assert ids.tolist() == wanted, "of equal scores the smaller id first"
        assert values.tolist() == scores[row, wanted].tolist()
        others = scores[row].double().index_fill(0, torch.tensor(wanted), -torch.inf).logsumexp(-1)
        assert rest == pytest.approx(float(others), rel=1e-5, abs=1e-5)


def test_a_rest_is_told_however_little_it_is() -> None:
    scores = torch.full((1, 200), -30.0)
    scores[0, 5] = 10
    ((ids, _, rest),) = Scores(scores).top([0], [1])
    assert ids.tolist() == [5]
    assert rest == pytest.approx(np.log(199) - 30, abs=1e-5)
