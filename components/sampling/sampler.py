"""How one sequence samples: its parameters, its random numbers, and what they need to know of the tokens so far."""

from collections.abc import Collection, Sequence

import numpy as np
import torch

from components.sampling.filters import MIN_TEMPERATURE
from components.sampling.grammar import Grammar
from components.sampling.occurrences import Occurrences
from components.sampling.parameters import SamplingParams

NUCLEUS_CANDIDATES = 64
"""With top_p and no top_k, so many candidates are tried before the draw is from all of the vocabulary."""


class Sampler:
    """How one sequence chooses its tokens: its parameters, and what they need to know of the tokens so far.

    Only ``note`` changes it, so a step that failed can be taken again.
    """

    def __init__(
        self,
        sampling: SamplingParams,
        prompt: Sequence[int],
        seed: int,
        grammar: Grammar | None = None,
        logprobs: int | None = None,
        end_tokens: Collection[int] = (),
        kept_scores: int = 0,
    ) -> None:
        """Begin before the first token.

        Args:
            sampling: the parameters.
            prompt: what the repetition penalty counts besides the reply.
            seed: the same seed gives the same tokens for the same logits.
            grammar: what the reply follows.
            logprobs: how many of the likeliest tokens are told with each token; None tells nothing.
            end_tokens: the model's own, which ``min_tokens`` and ``ignore_eos`` are about.
            kept_scores: of how many of the likeliest tokens the scores are told with each token; 0 tells none.
        """
        self.sampling = sampling
        self.logprobs = logprobs
        self.kept_scores = kept_scores
        self._seed = seed
        self._position = 0
        self._grammar = grammar
        self.occurrences = Occurrences(sampling, prompt) if Occurrences.matter(sampling) else None
        self._never = sorted(end_tokens) if sampling.ignore_eos else []
        self._not_yet = sorted({*end_tokens, *sampling.stop_token_ids}) if sampling.min_tokens else []

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.sampling.temperature < MIN_TEMPERATURE

    @property
    def candidates(self) -> int | None:
        """How many of the likeliest tokens are looked at first; None where a score says it, or all are looked at."""
        if self.greedy:
            return 1
        if self.sampling.top_k or self.sampling.min_p or self.sampling.top_p == 1:
            return self.sampling.top_k or None
        return NUCLEUS_CANDIDATES

    @property
    def limit(self) -> int | None:
        """More candidates than this cannot matter; None where those that are equal to the last one do."""
        return None if self.sampling.top_k and not self.greedy else self.candidates

    @property
    def needs_masses(self) -> bool:
        """Whether choosing needs the mass of all tokens."""
        sampling = self.sampling
        return not (self.greedy or sampling.top_k) and (sampling.top_p < 1 or not sampling.min_p)

    @property
    def complete(self) -> bool:
        """Whether the grammar is fulfilled and allows nothing more."""
        return self._grammar is not None and self._grammar.complete

    def note(self, token: int) -> None:
        """A token was written: the penalties count it, the grammar and the random numbers go on behind it.

        Raises:
            SamplingError: the grammar cannot go on; nothing was noted, and the sequence cannot be continued.
        """
        if self._grammar is not None:
            self._grammar.note(token)
        if self.occurrences is not None:
            self.occurrences.note(token)
        self._position += 1

    def uniform(self, attempt: int = 0) -> float:
        """A random number from [0, 1) for the next token; attempts at the same token get different ones.

        Philox is a function of seed and counter ("Parallel Random Numbers: As Easy as 1, 2, 3", Salmon et al.,
        2011), so nothing is used up by asking. numpy keeps its numbers the same in all versions.
        """
        philox = np.random.Philox(key=self._seed, counter=[attempt, self._position, 0, 0])
        return float((philox.random_raw() >> 11) * 2.0**-53)

    def allowed(self, vocabulary: int) -> torch.Tensor | None:
        """Which tokens may come next, ``[vocabulary]`` on the CPU; None for all.

        Raises:
            SamplingError: the grammar failed.
        """
        forbidden = self._never + (self._not_yet if self._position < self.sampling.min_tokens else [])
        if self._grammar is None and not forbidden:
            return None
        allowed = np.ones(vocabulary, dtype=np.bool_) if self._grammar is None else self._grammar.allowed(vocabulary)
        allowed[[token for token in forbidden if token < vocabulary]] = False
        return torch.from_numpy(allowed)
