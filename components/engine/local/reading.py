"""Reading the scores of a reply that is written already: of its tokens as they are kept, or exactly at some places.

Its prompt is read as any prompt, and its tokens are decoded as when they were chosen: reading them as a prompt would
round otherwise, by some hundredths in bfloat16 and by more where decoding uses int8.
"""

from collections.abc import Sequence

import numpy as np
import torch

from components.engine.events import ScoresRead
from components.engine.interface import GenerationRequest
from components.sampling.errors import NotNumbersError
from components.sampling.exact import exact_step
from components.sampling.filters import ExactStep
from components.sampling.kept import StepScores
from components.sampling.sampler import Sampler
from components.sampling.vocabulary import Scores

READ_PIECE = 32
"""So many tokens are read at once: the scores of all of them are held, and others' streams pause meanwhile."""


class Reading:
    """What is told of tokens that a reply has, as they are read.

    Attributes:
        reply: the first token of the reply, counted from the beginning of the prompt.
        first: the token after which the first scores are wanted, counted so, too.
    """

    def __init__(self, request: GenerationRequest, prompt: int) -> None:
        """``prompt`` is how many tokens stand before the reply's."""
        count = len(request.continues)
        self._kept_scores = request.kept_scores
        self._places = range(count) if request.exact_at is None else sorted(set(request.exact_at))
        self._wanted = set(self._places)
        self._is_exact = request.exact_at is not None
        self.reply = prompt
        self.first = prompt - 1 + self._places[0]
        self._kept: list[StepScores] = []
        self._exact: list[ExactStep] = []

    def begin(self, sampler: Sampler, continues: Sequence[int]) -> None:
        """Let the sampler know the reply's tokens before the first place."""
        for token in continues[: self._places[0]]:
            sampler.note(token)

    def take(self, logits: torch.Tensor, begin: int, tokens: Sequence[int], sampler: Sampler) -> None:
        """Take the scores after some tokens.

        Args:
            logits: ``[n, vocabulary]``; changed in place.
            begin: the first of these tokens, counted from the beginning of the prompt.
            tokens: all of the prompt and the reply.
            sampler: knows the tokens of the reply up to the last of those before; those up to here are noted.

        Raises:
            SamplingError: the scores are no numbers, or leave nothing to choose.
        """
        if not self._is_exact:
            self._kept += self._steps(logits, tokens[begin + 1 : begin + 1 + len(logits)])
            return
        for row, after in enumerate(range(begin, begin + len(logits))):
            if after + 1 - self.reply in self._wanted:
                self._exact.append(exact_step(logits[row], sampler))
            if after + 1 < len(tokens):
                sampler.note(tokens[after + 1])

    def told(self) -> ScoresRead:
        """What was read."""
        return ScoresRead(tuple(self._kept), tuple(self._exact))

    def _steps(self, logits: torch.Tensor, followers: Sequence[int]) -> list[StepScores]:
        if not followers:
            return []
        rows = range(len(followers))
        scores = Scores(logits)
        if not np.isfinite(scores.largest[: len(rows)]).all():
            raise NotNumbersError
        tops = scores.top(rows, [self._kept_scores] * len(rows))
        chosen = logits[torch.arange(len(rows)), torch.tensor(followers)].tolist()
        each = zip(tops, followers, chosen, strict=True)
        return [StepScores(ids.astype(np.int32), top, rest, token, score) for (ids, top, rest), token, score in each]
