"""What is kept of a reply's scores comes back as it was."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from components.sampling.kept import VERSION, KeptScores, KeptScoresError, StepScores

scores_of_models = st.floats(allow_nan=False, width=32)
token_ids = st.integers(0, 2**31 - 1)


@st.composite
def steps(draw: st.DrawFn) -> StepScores:
    ids = draw(arrays.arrays(np.int32, st.integers(0, 8), elements=token_ids))
    scores = draw(arrays.arrays(np.float32, len(ids), elements=scores_of_models))
    rest, score = draw(st.floats(allow_nan=False)), draw(st.floats())
    return StepScores(ids, scores, rest, draw(token_ids), score)


kept = st.builds(
    KeptScores,
    st.integers(0, 2**32 - 1),
    st.lists(steps(), max_size=6).map(tuple),
    st.booleans(),
    st.lists(st.binary(max_size=9), max_size=4).map(tuple),
)


def some(count: int = 3, vocabulary: int = 125_696, top: int = 50) -> KeptScores:
    numbers = np.random.default_rng(7)
    made = []
    for _ in range(count):
        # As bfloat16 has them: the lower half of the bits is zero.
        bits = numbers.normal(8, 4, top).astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        scores = np.sort(bits.view(np.float32))[::-1]
        ids = numbers.integers(0, vocabulary, top, dtype=np.int32)
        made.append(StepScores(ids, scores, float(numbers.normal()), int(ids[0]), float(scores[0])))
    return KeptScores(vocabulary, tuple(made))


@given(kept)
@settings(max_examples=300, deadline=None)
def test_what_was_packed_comes_back_to_the_bit(scores: KeptScores) -> None:
    back = KeptScores.unpack(scores.pack())
    assert back == scores
    for one, other in zip(back.steps, scores.steps, strict=True):
        assert [str(one.ids.dtype), str(one.scores.dtype)] == ["int32", "float32"]
        assert one.scores.tobytes() == other.scores.tobytes()  # -0.0 is not 0.0


def test_no_rest_is_no_rest() -> None:
    step = StepScores(np.array([1], np.int32), np.array([0.5], np.float32), -math.inf, 1, 0.5)
    assert KeptScores.unpack(KeptScores(1, (step,)).pack()).steps[0].rest == -math.inf


def test_log_probabilities_are_kept_the_likeliest_first_with_what_is_left() -> None:
    step = StepScores.of_logprobs([7, 3, 5], [-3.0, -1.0, -1.0], 7, None)
    assert (step.ids.tolist(), step.scores.tolist()) == ([3, 5, 7], [-1.0, -1.0, -3.0])
    assert step.rest == pytest.approx(math.log(1 - 2 * math.exp(-1) - math.exp(-3)))
    assert step.score == -3.0, "it is listed"

    more = StepScores.of_logprobs([1, 2], [-0.5, -0.5], 1, -0.5)
    assert more.rest == -math.inf, "by rounding, or because a server counts its own way"
    alone = StepScores.of_logprobs([], [], 4, -1.5)
    assert (len(alone.ids), alone.rest, alone.score, alone.is_known) == (0, 0.0, -1.5, True)
    nothing = StepScores.of_logprobs([], [], 4, None)
    assert math.isnan(nothing.score)
    assert not nothing.is_known


def test_every_part_that_is_cut_off_is_noticed() -> None:
    data = some().pack()
    for length in range(len(data)):
        with pytest.raises(KeptScoresError, match="cut off"):
            KeptScores.unpack(data[:length])


def test_scores_of_another_version_are_not_read() -> None:
    data = bytearray(some().pack())
    data[2] = VERSION + 1
    with pytest.raises(KeptScoresError, match=f"version {VERSION + 1}"):
        KeptScores.unpack(bytes(data))


def test_something_else_is_not_read() -> None:
    with pytest.raises(KeptScoresError, match="no kept scores"):
        KeptScores.unpack(b"something else that is long enough")


def test_a_reply_of_a_model_in_bfloat16_takes_175_bytes_a_step() -> None:
    assert len(some(500).pack()) < 175 * 500


def test_a_beginning_keeps_its_scores_also_where_another_token_turns_off() -> None:
    scores = some(4)
    tokens = [step.token for step in scores.steps]
    assert scores.before(tokens[:2]) == KeptScores(scores.vocabulary, scores.steps[:2])

    other = int(scores.steps[2].ids[5])
    turned = scores.before([*tokens[:2], other])
    assert turned is not None
    assert (turned.steps[2].token, turned.steps[2].score) == (other, float(scores.steps[2].scores[5]))
    assert turned.steps[2].ids.tolist() == scores.steps[2].ids.tolist()

    unknown = next(token for token in range(100) if token not in scores.steps[2].ids)
    assert scores.before([*tokens[:2], unknown]) is None, "its score is not kept"
    assert scores.before([other, *tokens[1:3]]) is None, "another reply"
    assert scores.before([*tokens, 5]) is None, "longer than what is known"
