"""What an engine tells about a reply while it writes it."""

from dataclasses import dataclass
from typing import Literal

from components.engine.receipts import Receipt
from components.sampling.filters import ExactStep
from components.sampling.kept import StepScores

FinishReason = Literal["stop", "length", "loop", "time", "cancelled"]
"""By itself or at a stop string; at the longest reply; going round in a circle; after the longest time; no longer
wanted."""


@dataclass(frozen=True)
class Waiting:
    """Others are served first: ``ahead`` requests stand before this one, for about ``seconds``, if that is known.

    Or the server that writes did not take the request, and is asked again in ``seconds``; or, ``for_restart``, it has
    crashed and is being started again.
    """

    ahead: int
    seconds: float | None = None
    for_restart: bool = False


LEAST_LOGPROB = -9999.0
"""OpenAI's figure for the log probability of what cannot be, or of what nobody looked for; JSON has no infinity."""


@dataclass(frozen=True)
class TokenLogprob:
    """How likely a token was, as a natural logarithm. ``text`` is its bytes, which may end within a character."""

    text: bytes
    logprob: float


@dataclass(frozen=True)
class ChosenToken:
    """A token of the prompt or the reply, and the likeliest ones in its place, the likeliest first.

    Some servers do not tell how likely it was (``logprob`` is None then), or which others there were.
    """

    text: bytes
    logprob: float | None
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class PromptRead:
    """How likely each token of the prompt was behind those before it, where the request asked for that.

    Comes once, before the first ``Delta``. Nothing stands before the first token, of which only the text is told.
    Control tokens are written out.
    """

    first: bytes
    others: tuple[ChosenToken, ...]


@dataclass(frozen=True)
class Delta:
    """The next piece of the reply's text: whole characters, never empty.

    ``count`` is from how many tokens it came; ``tokens`` are these, where the request asked for logprobs. ``ids`` are
    their token ids, by which a reply that is cut off here can be written on: none where another server writes and tells
    only text, and none beside stop strings, for which the text of some tokens is held back. ``scores`` are what is kept
    of the scores from which they were chosen, where the request asked for that.
    """

    text: str
    count: int = 1
    tokens: tuple[ChosenToken, ...] = ()
    ids: tuple[int, ...] = ()
    scores: tuple[StepScores, ...] = ()


@dataclass(frozen=True)
class ScoresRead:
    """The scores of a reply that was written before, where the request asked to read them. Comes once.

    ``kept`` are what is kept of each of its tokens, or ``exact`` what the sampling parameters make of all scores at the
    places that the request named, in their order.
    """

    kept: tuple[StepScores, ...] = ()
    exact: tuple[ExactStep, ...] = ()


@dataclass(frozen=True)
class Finished:
    """The last event of a stream.

    ``seconds`` runs from the request to the end, ``time_to_first_token`` (seconds) from the request to the first
    token, which includes waiting in line; it is None when there was no token. ``reused_tokens`` of the prompt's were
    known from before. ``waited`` is how many of the seconds it stood in line, or waited for the server
    that writes to be started again, as far as this engine knows.
    ``suggested_penalty`` goes with "loop": the mildest repetition penalty that breaks it.
    ``approximate`` says that nobody counted the tokens: their numbers are pieces of text and an estimate.
    ``tokens`` are the last ones, where the request asked for logprobs: those that show no text, because they are a part
    of a character or of a stop string, and the one that ended the reply, which ``completion_tokens`` does not count.
    ``scores`` are what is kept of the scores of the same tokens, where the request asked for that.
    """

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    time_to_first_token: float | None
    reused_tokens: int = 0
    suggested_penalty: float | None = None
    receipt: Receipt | None = None
    approximate: bool = False
    tokens: tuple[ChosenToken, ...] = ()
    scores: tuple[StepScores, ...] = ()
    waited: float = 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed: tokens after the first one over the time since the first one."""
        if self.time_to_first_token is None or self.completion_tokens < 2:
            return None
        decoding = self.seconds - self.time_to_first_token
        return (self.completion_tokens - 1) / decoding if decoding > 0 else None


Event = Waiting | PromptRead | ScoresRead | Delta | Finished
