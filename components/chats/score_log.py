"""Collects the scores of a reply while it grows."""

from collections.abc import Sequence

from components.engine.events import ChosenToken, Delta, Finished
from components.sampling.kept import KeptScores, StepScores


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
        self._places = {text: place for place, text in enumerate(begun.texts)} if begun else {}
        self._is_whole = is_whole
        self._tells_logprobs = tells_logprobs

    @property
    def kept(self) -> KeptScores | None:
        """What there is so far; None where something is missing, nobody asked for scores, or no step tells anything."""
        if not self._is_whole or not any(step.is_known for step in self._steps):
            return None
        return KeptScores(self._vocabulary, tuple(self._steps), bool(self._normalized), tuple(self._places))

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
        places = [self._place(one.text) for one in token.top]
        logprobs = [one.logprob for one in token.top]
        return StepScores.of_logprobs(places, logprobs, self._place(token.text), token.logprob)

    def _place(self, text: bytes) -> int:
        return self._places.setdefault(text, len(self._places))


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
