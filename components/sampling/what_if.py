"""What would have been possible with other settings, from the scores that were kept of a reply, without the model.

Of each step the likeliest tokens' scores are known exactly. Of all others it is known how many they are, that none
is likelier than the last of those, and what they weigh together at temperature 1. That bounds what they weigh at any
temperature, and so the odds of every known token. Where the bounds lie close together the kept scores suffice; where
they do not, only the model can tell.

Some servers tell nothing but how likely the token was that came. Then any other may have been likelier, by as much as
is left. And of a token of which not even that is told there are no odds.

``components/ui/components/token_view/sampling.js`` is the same in the browser, and a test holds the two together.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from components.sampling.filters import MIN_TEMPERATURE, Cut, additive_penalty, penalize
from components.sampling.kept import KeptScores, StepScores
from components.sampling.parameters import SamplingParams

Floats = NDArray[np.float64]

SUFFICIENT = 1e-3
"""Odds that are known within this are told; others are asked for."""

REST_SLACK = 1e-5
"""By how much the sum over the rest may be off, as a natural logarithm: it is added up in one order or another."""

ROUNDING = 1e-6
"""More than single precision rounds, relative to the score."""

TINY = 1e-300

IN, MAYBE, OUT = 2, 1, 0


@dataclass
class Seen:
    """The tokens before a step: those of the prompt, and those of the reply with how often each has come."""

    prompt: Collection[int] = frozenset()
    counts: Counter[int] = field(default_factory=Counter)

    def hidden(self, known: Collection[int], sampling: SamplingParams) -> int:
        """How many of the tokens that penalties change are none of the ``known`` ones."""
        if sampling.repetition_penalty != 1:
            every = len(self.counts.keys() | self.prompt)
            return every - sum(token in self.counts or token in self.prompt for token in known)
        if sampling.presence_penalty or sampling.frequency_penalty:
            return len(self.counts) - sum(token in self.counts for token in known)
        return 0


@dataclass(frozen=True)
class Outlook:
    """What could have come at one place of a reply, the likeliest first.

    Attributes:
        ids: the kept tokens, and the one that came where it is none of them but its score is known, ``[n]``.
        odds: ``[n]``; in the middle of what is possible. Where only the token that came is known, and not whether
            others were likelier, they are those that the model gave it: the middle would say the same of all of them.
        errors: how far each of them may be off, ``[n]``.
        cut: which filter ruled each out; None for those that may come, where it may be one filter or another, or of
            which that is not known.
    """

    ids: NDArray[np.int32]
    odds: Floats
    errors: Floats
    cut: list[Cut | None]

    @property
    def error(self) -> float:
        """How far any of them may be off; 1 where nothing is known."""
        return float(self.errors.max()) if len(self.errors) else 1.0

    @property
    def suffices(self) -> bool:
        """Whether the kept scores are enough."""
        return self.error <= SUFFICIENT

    def odds_of(self, token: int) -> float:
        """The odds of a token that is known."""
        return float(self.odds[self.ids == token][0])


def look_through(kept: KeptScores, sampling: SamplingParams, prompt: Collection[int]) -> Iterator[Outlook]:
    """What could have come at each place of a reply, had it come as far as there.

    Args:
        kept: the reply's scores.
        sampling: temperature, the filters and the penalties count; nothing else does.
        prompt: the token ids before the reply, which the repetition penalty counts.
    """
    seen = Seen(frozenset(prompt))
    for step in kept.steps:
        yield look(step, kept.vocabulary, sampling, seen)
        seen.counts[step.token] += 1


def greedy_difference(kept: KeptScores, sampling: SamplingParams, prompt: Collection[int]) -> tuple[int | None, bool]:
    """The first place at which the likeliest token is another one than came; and whether that is known for certain."""
    greedy = sampling.model_copy(update={"temperature": 0.0})
    for place, (step, outlook) in enumerate(zip(kept.steps, look_through(kept, greedy, prompt), strict=True)):
        if not outlook.suffices:
            return place, False
        if int(outlook.ids[0]) != step.token:
            return place, True
    return None, True


def look(
    step: StepScores, vocabulary: int, sampling: SamplingParams, seen: Seen, errors: Floats | None = None
) -> Outlook:
    """What could have come at one place.

    Args:
        step: its scores.
        vocabulary: how many tokens there are.
        sampling: temperature, the filters and the penalties count.
        seen: what came before.
        errors: by how much each kept score may be off, ``[k]``; the order of the tokens is right even so.
    """
    ranked = _rank(step, sampling, seen, np.zeros(len(step.ids)) if errors is None else errors)
    if not len(ranked.ids):
        return Outlook(ranked.ids, ranked.scores, ranked.scores, [])
    if not ranked.sure and not len(step.ids):
        return _alone(step, ranked, vocabulary, sampling, seen)
    if sampling.temperature < MIN_TEMPERATURE:
        return _greedy(ranked)
    hidden = _Hidden.of(step, ranked, vocabulary, sampling, seen)
    if _is_filtered(sampling, vocabulary) and not ranked.sure:  # filters go by ranks, and not even the first is known
        half = np.full(len(ranked.ids), 0.5)
        return Outlook(ranked.ids, half, half, [None] * len(ranked.ids))
    return _Survivors(ranked, hidden, sampling.temperature).filtered(sampling, vocabulary)


@dataclass(frozen=True)
class _Ranked:
    """The known tokens by rank, after penalties.

    Attributes:
        scores: ``[n]``, float64.
        errors: by how much each may be off, ``[n]``.
        cap: what none of the unknown tokens exceeds.
        sure: how many of the first ranks are before all unknown tokens for certain.
        may_swap: whether scores that lie within their errors may stand the other way round.
    """

    ids: NDArray[np.int32]
    scores: Floats
    errors: Floats
    cap: float
    sure: int
    may_swap: bool

    def may_tie(self, rank: int, other: int) -> bool:
        """Whether two tokens may be in the other order, or equally likely."""
        return bool(abs(self.scores[rank] - self.scores[other]) <= self.errors[rank] + self.errors[other])


def _rank(step: StepScores, sampling: SamplingParams, seen: Seen, errors: Floats) -> _Ranked:
    is_extra = step.token not in step.ids and not math.isnan(step.score)
    ids, scores = step.ids, step.scores
    if is_extra:
        ids = np.append(ids, np.int32(step.token))
        scores = np.append(scores, np.float32(step.score))
        errors = np.append(errors, 0.0)
    counts = [seen.counts.get(token, 0) for token in ids.tolist()]
    occurred = [bool(count) or token in seen.prompt for token, count in zip(ids.tolist(), counts, strict=True)]
    repetition = sampling.repetition_penalty
    presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
    taken_off = [additive_penalty(presence, frequency, count) for count in counts]
    adjusted = penalize(
        scores.astype(np.float32),  # as the engine has them: what is equal there is equal here
        np.where(occurred, np.float32(repetition), np.float32(1)),
        np.array(taken_off, dtype=np.float32),
    ).astype(np.float64)
    errors = np.where(occurred, errors * max(repetition, 1 / repetition), errors)
    order = np.lexsort((ids, -adjusted))
    if errors.any():  # equal by rounding only: those that are changed alike stand as they came
        order = np.lexsort((np.arange(len(ids)), -adjusted))
    hidden = seen.hidden(set(ids.tolist()), sampling)
    cap = _others(step, is_extra, REST_SLACK)
    if len(step.ids):
        cap = min(cap, float(step.scores[-1]) + float(errors[len(step.ids) - 1]))
    cap = _raised(cap, sampling, seen) if hidden else cap
    changes = repetition != 1 or presence != 0 or frequency != 0
    sure = 0
    for place in order:
        is_first = adjusted[place] - errors[place] > cap
        if not (is_first or (not changes and not (is_extra and place == len(ids) - 1))):
            break
        sure += 1
    return _Ranked(ids[order], adjusted[order], errors[order], cap, sure, changes and bool(errors.any()))


def _is_filtered(sampling: SamplingParams, vocabulary: int) -> bool:
    return 0 < sampling.top_k < vocabulary or sampling.top_p < 1 or sampling.min_p > 0


def _others(step: StepScores, is_extra: bool, slack: float) -> float:
    """The logarithm of what the unknown tokens weigh together at temperature 1, but for ``slack``."""
    return _less(step.rest + slack, step.score) if is_extra else step.rest + slack


def _raised(cap: float, sampling: SamplingParams, seen: Seen) -> float:
    """What a score of ``cap`` at the most can become."""
    if cap == -math.inf:
        return cap
    repetition = min(1.0, sampling.repetition_penalty)
    most = max(seen.counts.values(), default=0)
    presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
    added = max(0.0, *(-additive_penalty(presence, frequency, count) for count in (1, most)))
    most_score = max(cap, max(cap, 0.0) / repetition + min(cap, 0.0) * repetition) + added
    return most_score + ROUNDING * max(1.0, abs(most_score))


def _greedy(ranked: _Ranked) -> Outlook:
    count = len(ranked.ids)
    odds = np.zeros(count)
    odds[0] = 1.0
    if ranked.sure == 0 or (ranked.may_swap and count > 1 and ranked.may_tie(0, 1)):
        return Outlook(ranked.ids, odds, np.ones(count), [None] * count)
    return Outlook(ranked.ids, odds, np.zeros(count), [None, *[Cut.TEMPERATURE] * (count - 1)])


def _alone(step: StepScores, ranked: _Ranked, vocabulary: int, sampling: SamplingParams, seen: Seen) -> Outlook:
    """Where nothing but the token that came is known, and others may have been likelier.

    A filter then leaves it alone, or cuts it, or anything between; without filters it is known what the others weigh.
    """
    low, high = 0.0, 1.0
    if sampling.temperature >= MIN_TEMPERATURE and not _is_filtered(sampling, vocabulary):
        hidden = _Hidden.of(step, ranked, vocabulary, sampling, seen)
        low, high = 1 / (1 + hidden.high), 1 / (1 + hidden.low)
    odds = min(max(_exp(step.score - step.rest), low), high)
    return Outlook(ranked.ids, np.array([odds]), np.array([max(odds - low, high - odds)]), [None])


@dataclass
class _Hidden:
    """What the unknown tokens weigh, relative to the likeliest known one.

    Attributes:
        low: together, at the least.
        high: together, at the most.
        each: a single one at the most.
    """

    low: float = 0.0
    high: float = 0.0
    each: float = 0.0

    @classmethod
    def of(cls, step: StepScores, ranked: _Ranked, vocabulary: int, sampling: SamplingParams, seen: Seen) -> "_Hidden":
        """Nothing but how many they are, their sum at temperature 1, and the cap is known of them."""
        unknown = vocabulary - len(ranked.ids)
        low, high = (_others(step, len(ranked.ids) > len(step.ids), slack) for slack in (-REST_SLACK, REST_SLACK))
        if unknown <= 0 or high == -math.inf:
            return cls()
        power, top = 1 / sampling.temperature, ranked.scores[0]
        own = min(float(step.scores[-1]) + float(ranked.errors.max()), high) if len(step.ids) else high  # unpenalized
        lows, highs = ([_spread(one, unknown, power), _peaked(one, own, power)] for one in (low, high))
        found = cls(_exp(min(lows) - top * power), _exp(max(highs) - top * power), _exp((ranked.cap - top) * power))
        if changed := seen.hidden(set(ranked.ids.tolist()), sampling):
            found.low = max(0.0, found.low - changed * _exp((own - top) * power))
            if sampling.repetition_penalty < 1 or min(sampling.presence_penalty, sampling.frequency_penalty) < 0:
                found.high += changed * found.each
        return found


def _spread(log_sum: float, count: int, power: float) -> float:
    """The logarithm of the sum of x ** power over ``count`` equal numbers x with this sum."""
    return math.log(count) + power * (log_sum - math.log(count))


def _peaked(log_sum: float, cap: float, power: float) -> float:
    """The same of as few numbers as possible, none of which exceeds the cap."""
    return power * cap + (log_sum - cap)


def _less(log_sum: float, score: float) -> float:
    """A sum without one that is in it."""
    return score + math.log(math.expm1(log_sum - score)) if log_sum > score else -math.inf


def _exp(value: float) -> float:
    return math.exp(min(float(value), 700.0))


class _Survivors:
    """Which tokens are left as one filter after the other is applied, and what they weigh, between two bounds."""

    def __init__(self, ranked: _Ranked, hidden: _Hidden, temperature: float) -> None:
        self._ranked = ranked
        self._hidden = hidden
        weights = (ranked.scores - ranked.scores[0]) / temperature
        self._low = np.exp(weights - ranked.errors / temperature)
        self._high = np.exp(weights + ranked.errors / temperature)
        self._states = [IN] * len(weights)
        self._cut: list[Cut | None] = [None] * len(weights)
        self._most = math.inf  # what is left weighs at the most
        self._least = 0.0

    def filtered(self, sampling: SamplingParams, vocabulary: int) -> Outlook:
        if 0 < sampling.top_k < vocabulary:
            self._top_k(sampling.top_k)
        if sampling.top_p < 1:
            self._top_p(sampling.top_p)
        if sampling.min_p > 0:
            self._min_p(sampling.min_p)
        least, most = self._mass()
        low = np.where(np.equal(self._states, IN), self._low / most, 0.0)
        high = np.where(np.equal(self._states, OUT), 0.0, self._high / np.maximum(max(least, TINY), self._high))
        cut = [cut if state == OUT else None for cut, state in zip(self._cut, self._states, strict=True)]
        return Outlook(self._ranked.ids, (low + high) / 2, (high - low) / 2, cut)

    def _mass(self) -> tuple[float, float]:
        """What is left weighs so much at the least and at the most."""
        states = np.array(self._states)
        least = float(self._low[states == IN].sum()) + self._hidden.low
        most = float(self._high[states != OUT].sum()) + self._hidden.high
        return max(least, self._least), min(most, self._most)

    def _rule_out(self, rank: int, cut: Cut) -> None:
        if self._states[rank] != OUT:
            self._cut[rank] = cut if self._states[rank] == IN else None  # a filter before may have cut it
            self._states[rank] = OUT

    def _top_k(self, count: int) -> None:
        ranked = self._ranked
        if count > ranked.sure:
            self._hidden.low = 0.0
            for rank in range(ranked.sure, len(self._states)):
                self._states[rank] = MAYBE
            return
        last = count - 1
        for rank in range(count, len(self._states)):
            if not ranked.may_tie(rank, last):
                self._rule_out(rank, Cut.TOP_K)
            elif ranked.errors[rank] + ranked.errors[last] > 0:
                self._states[rank] = MAYBE
        self._loosen()
        self._hidden.low = 0.0
        if ranked.cap < ranked.scores[last] - ranked.errors[last]:
            self._hidden.high = 0.0

    def _top_p(self, part: float) -> None:
        ranked, hidden = self._ranked, self._hidden
        least, most = self._mass()
        least, most = part * least, part * most
        low = high = 0.0  # of the tokens before
        last = hidden.each if hidden.high else 0.0  # what the last that is kept may weigh
        for rank, state in enumerate(list(self._states)):
            if state == OUT:
                continue
            if rank > 0 and low >= most:
                self._rule_out(rank, Cut.TOP_P)
            elif rank > 0 and (high >= least or rank >= ranked.sure):
                self._states[rank] = MAYBE
            if self._states[rank] != OUT:
                last = max(last, self._high[rank]) if rank >= ranked.sure or self._states[rank] == MAYBE else last
            low += self._low[rank] if state == IN and rank < ranked.sure else 0.0
            high += self._high[rank]
        self._loosen()
        if low >= most:
            hidden.low = hidden.high = 0.0
        if hidden.high or MAYBE in self._states:
            hidden.low = 0.0
            certain = float(self._high[np.equal(self._states, IN)].sum())
            self._least, self._most = least, max(most + last, certain)

    def _min_p(self, part: float) -> None:
        least, most = part * float(self._low.max()), part * float(self._high.max())
        for rank in range(len(self._states)):
            if self._high[rank] < least:
                self._rule_out(rank, Cut.MIN_P)
            elif self._low[rank] < most and self._states[rank] == IN:
                self._states[rank] = MAYBE
        self._least = self._hidden.low = 0.0
        if self._hidden.each < least:
            self._hidden.high = 0.0

    def _loosen(self) -> None:
        """Where rounded scores may stand the other way round, it is not known which of them a filter cut."""
        ranked, states = self._ranked, self._states
        if not ranked.may_swap:
            return
        lowest, highest = ranked.scores - ranked.errors, ranked.scores + ranked.errors
        kept = next((rank for rank, state in enumerate(states) if state != IN), len(states))
        left = next((rank for rank, state in enumerate(states) if state == OUT), len(states))
        reach, floor = highest[kept:].max(initial=-math.inf), lowest[:left].min(initial=math.inf)
        for rank in range(len(states)):
            if lowest[rank] <= reach if rank < kept else highest[rank] >= floor:
                states[rank] = MAYBE
