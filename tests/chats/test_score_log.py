"""What other servers tell of their tokens, by their texts, becomes steps whose numbers are the right tokens'."""

import math
from dataclasses import replace

import pytest

from components.chats.score_log import ScoreLog, matching
from components.engine.events import ChosenToken, Delta, TokenLogprob
from components.sampling.kept import KeptScores
from components.sampling.parameters import SamplingParams
from components.sampling.what_if import look_through
from components.ui.components.packing import UNKNOWN_VOCABULARY

HALF = "\ufffd".encode()
"""How servers write a token that is a part of a character, whichever it is."""

PLAIN = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0)

Listed = list[tuple[bytes, float]]


def kept_of(*steps: tuple[bytes, float | None, Listed], begun: KeptScores | None = None) -> KeptScores:
    log = ScoreLog(begun=begun)
    for text, logprob, listed in steps:
        top = tuple(TokenLogprob(*one) for one in listed)
        log.note(Delta("x", 1, (ChosenToken(text, logprob, top),)))
    kept = log.kept
    assert kept is not None
    return kept


def odds_of(kept: KeptScores) -> list[float]:
    """Of each token that came, as the model gave them."""
    steps = zip(kept.steps, look_through(replace(kept, vocabulary=UNKNOWN_VOCABULARY), PLAIN, ()), strict=True)
    return [outlook.odds_of(step.token) for step, outlook in steps]


TWINS = [(HALF, -0.5), (b"a", -1.5), (HALF, -2.0), (b"b", -4.0)]


@pytest.mark.parametrize(
    ("logprob", "number"), [(-0.5, 0), (-0.5004, 0), (-2.0, 1), (-7.0, 2), (None, 2), (-1.9, 1), (-0.7, 0)]
)
def test_of_tokens_with_one_text_each_has_its_own_odds(logprob: float | None, number: int) -> None:
    kept = kept_of((HALF, logprob, TWINS))
    (step,) = kept.steps
    assert [kept.texts[place] for place in step.ids] == [HALF, b"a", HALF, b"b"]
    assert len(set(step.ids.tolist())) == 4, "they are four tokens"
    assert step.scores.tolist() == [-0.5, -1.5, -2.0, -4.0]
    assert kept.texts[step.token] == HALF
    assert [*step.ids.tolist()].index(step.token) == [0, 2][number] if number < 2 else step.token not in step.ids
    if logprob is not None:
        nearest = min([-0.5, -2.0, -7.0], key=lambda one: abs(one - logprob))
        assert odds_of(kept) == pytest.approx([math.exp(nearest)], abs=2e-3)


def test_a_text_that_comes_again_is_the_same_token_as_far_as_anybody_knows() -> None:
    kept = kept_of((b"a", -0.1, [(b"a", -0.1), (b"b", -3.0)]), (b"b", -0.2, [(b"b", -0.2), (b"a", -3.0)]))
    assert [step.token for step in kept.steps] == [0, 1]
    assert [step.ids.tolist() for step in kept.steps] == [[0, 1], [1, 0]]

    kept = kept_of((HALF, -0.5, TWINS), (HALF, -2.0, TWINS))
    assert kept.texts == (HALF, b"a", HALF, b"b")
    assert kept.steps[0].ids.tolist() == kept.steps[1].ids.tolist()


def test_a_reply_that_is_written_on_knows_its_tokens_again() -> None:
    begun = kept_of((HALF, -2.0, TWINS))
    assert matching(begun, (), "\ufffd") == begun
    kept = kept_of((HALF, -0.5, TWINS), (b"c", -0.1, [(b"c", -0.1)]), begun=begun)
    assert kept.texts == (HALF, b"a", HALF, b"b", b"c")
    assert [step.token for step in kept.steps] == [2, 0, 4]


def test_the_likeliest_are_the_first_whatever_comes_first_in_the_list() -> None:
    (step,) = kept_of((b"c", -2.0, [(b"c", -2.0), (b"a", -0.3), (b"b", -3.0)])).steps
    assert step.scores.tolist() == pytest.approx([-0.3, -2.0, -3.0])
    assert step.token == step.ids[1]


@pytest.mark.parametrize("listed", [[(b"c", -5.0), (b"a", -1.0)], [(b"a", -1.0), (b"c", -5.0)], [(b"a", -1.0)]])
@pytest.mark.parametrize("logprob", [-5.0, None])
def test_the_token_that_came_says_nothing_of_those_that_are_not_listed(listed: Listed, logprob: float | None) -> None:
    """Some servers list it beside the likeliest, or in the place of the last of them."""
    if logprob is None and len(listed) == 1:
        return
    (step,) = (kept := kept_of((b"c", logprob, listed))).steps
    assert [kept.texts[place] for place in step.ids] == [b"a"]
    assert (kept.texts[step.token], step.score) == (b"c", -5.0)
    assert step.rest == pytest.approx(math.log(1 - math.exp(-1.0))), "of all but a"
    assert odds_of(kept) == pytest.approx([math.exp(-5.0)], abs=1e-3)


def test_a_token_alone_keeps_its_own_odds_and_one_without_any_stands_for_itself() -> None:
    kept = kept_of((b"a", -0.1, []), (b"b", -2.0, [(b"b", -2.0)]), (b"c", None, []), (b"d", -9999.0, []))
    assert [len(step.ids) for step in kept.steps] == [0, 0, 0, 0]
    assert [kept.texts[step.token] for step in kept.steps] == [b"a", b"b", b"c", b"d"]
    assert [step.is_known for step in kept.steps] == [True, True, False, False]
    assert odds_of(KeptScores(0, kept.steps[:2])) == pytest.approx([math.exp(-0.1), math.exp(-2.0)], abs=1e-3)
    assert KeptScores.unpack(kept.pack()) == kept


def test_what_openai_calls_impossible_is_left_to_the_rest() -> None:
    (step,) = kept_of((b"a", -0.1, [(b"a", -0.1), (b"b", -3.0), (b"c", -9999.0)])).steps
    assert step.scores.tolist() == pytest.approx([-0.1, -3.0])


def test_a_reply_of_which_nothing_is_known_keeps_nothing() -> None:
    log = ScoreLog()
    for text in (b"a", b"b"):
        log.note(Delta("x", 1, (ChosenToken(text, None),)))
    assert log.kept is None
