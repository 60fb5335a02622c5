"""One reply while the local engine writes it: from tokens to text, and when it ends."""

import secrets
import time
from collections.abc import Collection, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from components.engine.events import ChosenToken, Delta, Finished, FinishReason, TokenLogprob
from components.engine.interface import Generation, GenerationRequest
from components.engine.local.prefix_cache import Lease
from components.model.detokenizer import IncrementalDetokenizer
from components.sampling.grammar import Grammar
from components.sampling.parameters import MAX_SEED
from components.sampling.sampler import Choice, Sampler
from components.sampling.stopping import LoopGuard, StopStrings


class Writing:
    """A request's state in the engine.

    Attributes:
        lease: its memory; None while it waits.
        tokens: the reply so far.
        loop: how many tokens the circle has that the reply goes round in; None when it does not.
    """

    def __init__(
        self,
        request: GenerationRequest,
        prompt: Sequence[int],
        generation: Generation,
        tokenizer: PreTrainedTokenizerBase,
        grammar: Grammar | None = None,
    ) -> None:
        self.request = request
        self.prompt = list(prompt)
        self.generation = generation
        self.asked_at = time.monotonic()
        self.began_at: float | None = None
        self.first_token_at: float | None = None
        self.lease: Lease | None = None
        self.sampler: Sampler | None = None
        self.tokens: list[int] = []
        self.loop: int | None = None
        self.told: tuple[int, int | None] | None = None  # the place in line that the reader knows of
        seed = request.sampling.seed
        self.seed = secrets.randbelow(MAX_SEED) if seed is None else seed
        self._grammar = grammar
        self._detokenizer = IncrementalDetokenizer(tokenizer)
        self._shown = 0  # tokens whose text the reader has
        self._untold: list[ChosenToken] = []  # whose text is not shown yet
        self._stops = StopStrings(request.sampling.stop)
        self._guard = LoopGuard()

    @property
    def exact(self) -> bool:
        """Whether the reply must not depend on who else is served: who sets a seed wants the same reply again."""
        return self.request.sampling.seed is not None

    @property
    def room(self) -> int:
        """How many tokens the prompt and the longest reply have together."""
        return len(self.prompt) + self.request.sampling.max_new_tokens

    @property
    def unread(self) -> int:
        """How many tokens of the prompt are not in the cache yet."""
        return len(self.prompt) - (self.lease.cache.length if self.lease else 0)

    @property
    def reading(self) -> bool:
        """Whether the prompt is still being read."""
        return not self.tokens and self.unread > 0

    @property
    def seconds(self) -> float:
        """How long its turn has been."""
        return 0.0 if self.began_at is None else time.monotonic() - self.began_at

    def begin(self, lease: Lease, device: torch.device) -> None:
        """There is room now."""
        self.began_at = time.monotonic()
        self.lease = lease
        self.sampler = Sampler(
            self.request.sampling, self.prompt, self.seed, device, self._grammar, self.request.logprobs
        )

    def take(self, choice: Choice, end_tokens: Collection[int]) -> FinishReason | None:
        """Take the next token and hand its text to the reader; return why the reply ends with it, if it does."""
        token = choice.token
        self.first_token_at = self.first_token_at or time.monotonic()
        if token in end_tokens:
            return "stop"
        assert self.lease is not None
        assert self.sampler is not None
        self.tokens.append(token)
        self.lease.tokens.append(token)
        self.sampler.note(token)
        if choice.logprob is not None:
            top = tuple(TokenLogprob(self._detokenizer.token_bytes(one), logprob) for one, logprob in choice.top)
            self._untold.append(ChosenToken(self._detokenizer.token_bytes(token), choice.logprob, top))
        shown, stopped = self._stops.push(self._detokenizer.push(token))
        self._show(shown)
        if stopped or self.sampler.complete:
            return "stop"
        self.loop = self._guard.push(token)
        if self.loop is not None:
            return "loop"
        return "length" if len(self.tokens) >= self.request.sampling.max_new_tokens else None

    def finish(self, finished: Finished) -> None:
        """Hand out what was held back, and the end."""
        rest, stopped = self._stops.push(self._detokenizer.finish())
        self._show(rest if stopped else rest + self._stops.finish())
        self.generation.put(finished)

    def _show(self, text: str) -> None:
        if text:
            told, self._untold = tuple(self._untold), []
            count, self._shown = len(self.tokens) - self._shown, len(self.tokens)
            self.generation.put(Delta(text, count, told))
