"""The mildest penalty that leads out of a circle, against trying one after the other."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import RepetitionPenaltyLogitsProcessor

from components.sampling.loops import PENALTIES, mildest_penalty


def by_trying(logits: torch.Tensor, chosen: list[int], seen: list[int], above: float) -> float | None:
    for penalty in PENALTIES:
        if penalty <= above:
            continue
        rows = torch.tensor([seen] * len(logits))
        if RepetitionPenaltyLogitsProcessor(penalty)(rows, logits.clone()).argmax(dim=-1).tolist() != chosen:
            return penalty
    return None


@given(
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.integers(2, 60),
    st.booleans(),
    st.floats(-6, 6),
    st.sampled_from([0.9, 1.0, 1.05, 1.3, 2.0]),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_it_is_found_as_by_trying_each(
    seed: int, period: int, vocabulary: int, ties: bool, level: float, above: float, data: st.DataObject
) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(period, vocabulary, generator=random) + level
    if ties:
        logits = (logits * 2).round() / 2
    greedy = logits.argmax(dim=-1).tolist()
    chosen = data.draw(st.sampled_from([greedy, [0] * period]))
    others = data.draw(st.lists(st.integers(0, vocabulary - 1), max_size=vocabulary))
    seen = [*chosen, *others]
    before = logits.clone()

    assert mildest_penalty(logits, chosen, seen, above) == by_trying(logits, chosen, seen, above)
    assert torch.equal(logits, before)


def test_the_pieces_of_a_round_have_the_rounds_penalty_among_them() -> None:
    torch.manual_seed(1)
    logits = torch.randn(40, 300) + 4
    chosen = logits.argmax(dim=-1).tolist()
    logits[range(40), chosen] += 0.5
    pieces = [mildest_penalty(logits[at : at + 8], chosen[at : at + 8], chosen, 1.0) for at in range(0, 40, 8)]
    found = [penalty for penalty in pieces if penalty is not None]

    assert min(found) == mildest_penalty(logits, chosen, chosen, 1.0)
    assert len(set(pieces)) > 1


def test_no_penalty_helps_where_all_tokens_were_seen() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0]])

    assert mildest_penalty(logits, [0], [0, 1, 2], 1.0) is None
