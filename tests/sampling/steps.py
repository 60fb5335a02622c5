"""Random steps of decoding, with ties, and what a real run makes of them."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.sampling.filters import Cut, ExactStep, Left, additive_penalty, filter_scores, penalize
from components.sampling.kept import StepScores
from components.sampling.parameters import SamplingParams
from components.sampling.what_if import Seen

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A step, as it is kept and as it was."""

    scores: Scores
    step: StepScores
    sampling: SamplingParams
    seen: Seen


def keep(scores: Scores, count: int, token: int) -> StepScores:
    """What is kept of a step's scores."""
    order = np.lexsort((np.arange(len(scores)), -scores))[:count].astype(np.int32)
    others = np.delete(scores.astype(np.float64), order)
    rest = float(np.logaddexp.reduce(others)) if len(others) else -np.inf
    return StepScores(order, scores[order], rest, token, float(scores[token]))


def penalized(case: Case) -> Scores:
    """The scores of all tokens as the penalties leave them."""
    scores = case.scores.copy()
    sampling, seen = case.sampling, case.seen
    for token in sorted({*seen.counts, *seen.prompt}):
        taken_off = additive_penalty(sampling.presence_penalty, sampling.frequency_penalty, seen.counts[token])
        one: NDArray[Any] = scores[token : token + 1]
        scores[token] = penalize(one, np.float32(sampling.repetition_penalty), np.float32(taken_off))[0]  # type: ignore[type-var, index]
    return scores


def real_odds(case: Case) -> NDArray[np.float64]:
    """The odds of every token by the scores of all."""
    sampling = case.sampling
    return _odds(penalized(case), sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p)


def real_stages(case: Case) -> list[tuple[Cut | None, NDArray[np.float64]]]:
    """The odds of every token before the filters, and behind each that is on; the last are the real ones."""
    scores, sampling = penalized(case), case.sampling
    if sampling.temperature == 0:
        return [(None, _odds(scores, 1.0)), (Cut.TEMPERATURE, _odds(scores, 0.0))]
    on = {"top_k": sampling.top_k > 0, "top_p": sampling.top_p < 1, "min_p": sampling.min_p > 0}
    names = [name for name, is_on in on.items() if is_on]
    return [
        (
            Cut(names[count - 1]) if count else None,
            _odds(scores, sampling.temperature, **{name: getattr(sampling, name) for name in names[:count]}),
        )
        for count in range(len(names) + 1)
    ]


def exactly(case: Case) -> ExactStep:
    """What the model answers when it is asked for this step."""
    scores = penalized(case).astype(np.float64)
    stages = []
    for cut, odds in real_stages(case):
        left = scores[odds > 0]
        total = float(np.logaddexp.reduce(left / (case.sampling.temperature or 1.0)))
        stages.append(Left(cut, len(left), float(left.min()), total))
    return ExactStep(int(scores.argmax()), tuple(stages))


def _odds(
    scores: Scores, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> NDArray[np.float64]:
    filtered = filter_scores(scores.astype(np.float64), temperature, top_k, top_p, min_p)
    odds = np.zeros(len(scores))
    odds[filtered.order] = filtered.odds
    return odds


def scores_of(numbers: Sequence[float]) -> Scores:
    """Logits."""
    return np.array(numbers, dtype=np.float32)


coarse = st.lists(st.integers(-12, 12), min_size=2, max_size=40).map(
    lambda whole: scores_of([one / 2 for one in whole])
)
fine = st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=40).map(scores_of)
peaked = st.lists(st.floats(-9, 0, width=32), min_size=8, max_size=40).map(lambda all: scores_of([8, 7.5, 6, *all]))

VALUES = {
    "temperature": (0.0, 0.05, 0.3, 0.7, 1.0, 1.5, 2.0),
    "top_k": (0, 0, 1, 2, 3, 5, 8, 20, 45),
    "top_p": (0.05, 0.3, 0.6, 0.85, 0.95, 1.0, 1.0),
    "min_p": (0.0, 0.0, 0.02, 0.1, 0.5, 1.0),
    "repetition_penalty": (0.8, 1.0, 1.0, 1.05, 1.3, 2.0),
    "presence_penalty": (0.0, 0.0, 0.5, -0.5),
    "frequency_penalty": (0.0, 0.0, 0.25, -0.25),
}
"""Of settings: what does nothing comes often."""

samplings = st.builds(SamplingParams, **{name: st.sampled_from(values) for name, values in VALUES.items()})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Steps of small vocabularies, of which some or all scores are kept, or that of the token that came alone."""
    scores = draw(st.one_of(coarse, fine, peaked))
    tokens = st.integers(0, len(scores) - 1)
    step = keep(scores, draw(st.integers(0, len(scores))), draw(tokens))
    seen = Seen(frozenset(draw(st.sets(tokens, max_size=6))), Counter(draw(st.lists(tokens, max_size=6))))
    return Case(scores, step, draw(samplings), seen)


def random_case(chance: random.Random) -> Case:
    """One of many, where drawing them with hypothesis would take minutes."""
    count = chance.randint(2, 60)
    size = chance.choice((0.5, 4.0, 20.0))
    numbers = [chance.uniform(-size, size) for _ in range(count)]
    if chance.random() < 0.5:
        numbers = [round(2 * number) / 2 for number in numbers]
    tokens = range(count)
    step = keep(scores_of(numbers), chance.randint(1, count), chance.choice(tokens))
    prompt = frozenset(chance.choices(tokens, k=chance.randint(0, 6)))
    seen = Seen(prompt, Counter(chance.choices(tokens, k=chance.randint(0, 6))))
    sampling = SamplingParams.model_validate({name: chance.choice(values) for name, values in VALUES.items()})
    return Case(scores_of(numbers), step, sampling, seen)


def alone(case: Case) -> Case:
    """The same with no score kept but that of the token that came."""
    return replace(case, step=keep(case.scores, 0, case.step.token))
