"""Collects the scores of a reply while it grows."""

from collections import Counter
from collections.abc import Iterable, Sequence

from components.engine.events import LEAST_LOGPROB, ChosenToken, Delta, Finished
from components.sampling.kept import KeptScores, StepScores

ROUNDING = 1e-3
"""So far two figures for the log probability of one token may lie apart: each is rounded as its server likes."""


class ScoreLog:
    """The scores of one reply, whole or not at all: those of a part would stand beside the wrong tokens."""

    def __init__(
        self,
        vocabulary: int = 0,
        begun: KeptScores | None = None,
        *,
        is_whole: bool = True,
        tells_logprobs: bool = False,
    ) -> None:
        """Begin, or go on.

        Args:
            vocabulary: how many tokens the model has; 0 where that is not known.
            begun: the scores of what the reply begins with.
            is_whole: whether these are of all of it.
            tells_logprobs: whether the engine's scores are log probabilities, too.
        """
        self._vocabulary = vocabulary
        self._steps = list(begun.steps) if begun else []
        self._normalized = begun.normalized if begun else None
        self._places: dict[tuple[bytes, int], int] = {}
        for text, number in numbered(begun.texts if begun else ()):
            self._place(text, number)
        self._is_whole = is_whole
        self._tells_logprobs = tells_logprobs

    @property
    def kept(self) -> KeptScores | None:
        """What there is so far; None where something is missing, nobody asked for scores, or no step tells anything."""
        if not self._is_whole or not any(step.is_known for step in self._steps):
            return None
        texts = tuple(text for text, _ in self._places)
        return KeptScores(self._vocabulary, tuple(self._steps), bool(self._normalized), texts)

    def note(self, event: Delta | Finished) -> None:
        """Take the scores of some tokens, as the engine tells them, or another server's log probabilities."""
        by_text = not event.scores and bool(event.tokens)
        steps = [self._step(token) for token in event.tokens] if by_text else event.scores
        normalized = by_text or self._tells_logprobs
        if not steps:
            self._is_whole &= not isinstance(event, Delta)
            return
        self._is_whole &= self._normalized in (None, normalized)
        self._normalized = normalized
        self._steps += steps

    def _step(self, token: ChosenToken) -> StepScores:
        """A step of a server that tells its tokens by their texts, which take the place of ids."""
        top = [one for one in token.top if one.logprob > LEAST_LOGPROB]
        logprob = token.logprob if token.logprob is not None and token.logprob > LEAST_LOGPROB else None
        least = min((one.logprob for one in top), default=0.0)
        names = numbered(one.text for one in top)
        alike = [one.logprob for one in top if one.text == token.text]
        chosen = (token.text, _which(alike, logprob, least))
        # Some list the token that came though others are likelier. As the last, it says nothing of those not listed.
        if chosen in names and alike[chosen[1]] == least:
            logprob = least if logprob is None else logprob
            top.pop(names.index(chosen))
            names.remove(chosen)
        places = [self._place(*name) for name in names]
        return StepScores.of_logprobs(places, [one.logprob for one in top], self._place(*chosen), logprob)

    def _place(self, text: bytes, number: int) -> int:
        return self._places.setdefault((text, number), len(self._places))


def numbered(texts: Iterable[bytes]) -> list[tuple[bytes, int]]:
    """The texts of one step's tokens, each with how many before it are the same: several tokens may have one text.

    Half characters all show as a replacement character, and what is written as a byte may be a letter, too.
    """
    counts: Counter[bytes] = Counter()
    names = []
    for text in texts:
        names.append((text, counts[text]))
        counts[text] += 1
    return names


def _which(alike: Sequence[float], logprob: float | None, least: float) -> int:
    """Which of the listed tokens with its text the token is that came; their number where it may be none of them.

    Args:
        alike: their log probabilities.
        logprob: its own, if that is told.
        least: the least of all that are listed; one that is not listed has no more.
    """
    if logprob is None:
        return 0 if len(alike) == 1 else len(alike)
    nearest = min(range(len(alike)), key=lambda number: abs(alike[number] - logprob), default=0)
    is_listed = bool(alike) and (logprob > least + ROUNDING or abs(alike[nearest] - logprob) <= ROUNDING)
    return nearest if is_listed else len(alike)


def matching(scores: KeptScores | None, tokens: Sequence[int], text: str) -> KeptScores | None:
    """The scores of what a reply begins with; None where they are not known of all of it.

    Args:
        scores: of a reply that began so, whatever followed.
        tokens: the beginning's; empty where only its text is known.
        text: the same as text.
    """
    if scores is None:
        return None
    if tokens and not scores.texts:
        return scores.before(tokens)
    if scores.texts and not tokens:
        written = b"".join(scores.texts[step.token] for step in scores.steps)
        return scores if written == text.encode() else None
    return None
