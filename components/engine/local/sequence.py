"""One reply while it is written: its tokens, where their keys and values lie, its text, and when it ends."""

import collections.abc
import secrets
import time
from dataclasses import dataclass, field, replace

from components.engine.events import ChosenToken, Delta, Finished, FinishReason, PromptRead, TokenLogprob
from components.engine.interface import Generation, GenerationRequest
from components.engine.local.block_pool import BLOCK, BlockTable, key_after
from components.engine.local.reading import READ_PIECE, Reading
from components.engine.vocabulary import detokenizer_of
from components.model.token_texts import TokenTexts
from components.sampling.choosing import SampledToken
from components.sampling.grammar import Grammar
from components.sampling.kept import StepScores
from components.sampling.logprobs import Likeliest
from components.sampling.parameters import MAX_SEED
from components.sampling.sampler import Sampler
from components.sampling.stopping import LoopGuard, StopStrings

PIECE = 256
"""Prompts are read in pieces that end at multiples of so many tokens. Others' streams pause while one is read."""


class Sequence:
    """What the engine knows of a reply.

    Attributes:
        prompt: how many tokens are read before the first is chosen; those of a reply that is written on are among them.
        tokens: these and, behind them, the chosen ones.
        computed: how many of the tokens, from the first on, have been read: their keys and values are in ``table``.
        reused: how many of the prompt's somebody else had read.
        table: its blocks; None while it waits.
        sampler: chooses its tokens; None while it waits.
        reading: what is read of the tokens that the reply has already; None where it is written.
        loop: how many tokens the circle has that the reply goes round in; None when it does not.
    """

    def __init__(
        self,
        request: GenerationRequest,
        prompt: collections.abc.Sequence[int],
        generation: Generation,
        texts: TokenTexts,
        grammar: Grammar | None = None,
    ) -> None:
        self.request = request
        self.grammar = grammar
        self.generation = generation
        self.prompt = len(prompt)
        self.tokens = list(prompt)
        self._continued = len(request.continues)
        self.reading = Reading(request, self.prompt - self._continued) if request.reads_scores else None
        self.computed = 0
        self.reused = 0
        self.table: BlockTable | None = None
        self.sampler: Sampler | None = None
        self.loop: int | None = None
        self.asked_at = time.monotonic()
        self.began_at: float | None = None
        self.first_token_at: float | None = None
        self.told: tuple[int, int | None] | None = None  # the place in line that the reader knows of
        seed = request.sampling.seed
        self.seed = secrets.randbelow(MAX_SEED) if seed is None else seed
        self.keys = BlockKeys(b"")
        self.exact_keys = BlockKeys(b"exact")
        self._detokenizer = detokenizer_of(request, texts)
        self._shown = 0  # tokens of the reply whose text the reader has
        self._untold: list[ChosenToken] = []  # whose text is not shown yet
        self._untold_scores: list[StepScores] = []
        self._prompt_logprobs: list[ChosenToken] = []  # of the prompt's tokens from the second one on, as they are read
        self._stops = StopStrings(request.sampling.stop)
        self._guard = LoopGuard()
        for token in request.continues:
            self._guard.push(token)

    @property
    def exact(self) -> bool:
        """Whether the reply must not depend on who else is served: who sets a seed wants the same reply again."""
        return self.request.sampling.seed is not None

    @property
    def tells_prompt(self) -> bool:
        """Whether the reader wants to know how likely the prompt's tokens were."""
        return self.request.prompt_logprobs is not None

    @property
    def room(self) -> int:
        """How many tokens the prompt and the longest reply have together."""
        return self.prompt + self.request.longest

    @property
    def reply(self) -> list[int]:
        """The reply's tokens, with those that it began with."""
        return self.tokens[self.prompt - self._continued :]

    @property
    def completion_tokens(self) -> int:
        """How many were chosen."""
        return len(self.tokens) - self.prompt

    @property
    def unread(self) -> int:
        """How many tokens of the prompt are still to be read."""
        return max(0, self.prompt - self.computed)

    @property
    def prefilling(self) -> bool:
        """Whether the prompt is still being read."""
        return self.computed < self.prompt

    @property
    def piece_end(self) -> int:
        """Where the next piece of the prompt ends: at fixed places, so that a prompt is read the same way each time."""
        if self.computed >= self._beginning:
            return min(self.prompt, self.computed + READ_PIECE)
        return min(self._beginning, (self.computed // PIECE + 1) * PIECE)

    @property
    def _beginning(self) -> int:
        """How many tokens are read as a prompt."""
        return self.prompt if self.reading is None else self.reading.reply

    @property
    def seconds(self) -> float:
        """How long its turn has been."""
        return 0.0 if self.began_at is None else time.monotonic() - self.began_at

    def shareable_keys(self) -> list[bytes]:
        """Keys of the blocks at the prompt's beginning that others may have read for it.

        One token at least is left to read, for its logits; all of them whose logits are wanted. An exact reply uses
        only whole pieces that were read as it would read them itself.
        """
        if self.tells_prompt:
            return []
        if self.exact:
            end = (self._beginning - 1) // PIECE * PIECE
            return self.exact_keys.upto(self.tokens, end)
        return self.keys.upto(self.tokens, self.prompt - 1 if self.reading is None else self.reading.first)

    def full_blocks(self, begin: int) -> collections.abc.Iterator[tuple[int, bytes]]:
        """Blocks that became full since ``begin`` tokens were computed, each with the keys to find it by."""
        assert self.table is not None
        first = begin // BLOCK
        if self.computed // BLOCK == first:  # as in most decode steps
            return
        chains = [(self.keys, self.computed)]
        if self.exact:
            chains.append((self.exact_keys, min(self.computed, self._beginning // PIECE * PIECE)))
        for keys, end in chains:
            for index, key in enumerate(keys.upto(self.tokens, end)[first:], start=first):
                yield self.table.blocks[index], key

    def begin(self, table: BlockTable, reused: int) -> None:
        """There is room now; the first ``reused`` tokens have been read by others."""
        self.began_at = time.monotonic()
        self.table = table
        self.computed = self.reused = reused

    def note_prompt(self, read: collections.abc.Sequence[tuple[float, Likeliest]]) -> None:
        """How likely the prompt's next tokens were, by what stands before them; the last ones are told to the reader.

        Args:
            read: the log probability of each, and the likeliest in its place.
        """
        known = 1 + len(self._prompt_logprobs)
        tokens = self.tokens[known : known + len(read)]
        self._prompt_logprobs += [self._told(token, *one) for token, one in zip(tokens, read, strict=True)]
        if len(self._prompt_logprobs) + 1 == self.prompt:
            first = self._detokenizer.written_out_first(self.tokens[0])
            self.generation.put(PromptRead(first, tuple(self._prompt_logprobs)))
            self._prompt_logprobs = []

    def take(self, choice: SampledToken, end_tokens: collections.abc.Collection[int]) -> FinishReason | None:
        """Take the next token and hand its text to the reader; return why the reply ends with it, if it does.

        Raises:
            SamplingError: the reply cannot follow its schema to the end.
        """
        token = choice.token
        self.first_token_at = self.first_token_at or time.monotonic()
        told = [] if choice.logprob is None else [self._told(token, choice.logprob, choice.top)]
        scores = [] if choice.scores is None else [choice.scores]
        if token in end_tokens or token in self.request.sampling.stop_token_ids:
            self._untold += told
            self._untold_scores += scores
            return "stop" if token in end_tokens else self._stopped_by_caller
        assert self.sampler is not None
        self.sampler.note(token)
        self.tokens.append(token)
        self._untold += told
        self._untold_scores += scores
        shown, stopped = self._stops.push(self._detokenizer.push(token))
        self._show(shown)
        if self.sampler.complete:
            return "stop"
        if stopped:
            return self._stopped_by_caller
        self.loop = self._guard.push(token)
        if self.loop is not None:
            return "loop"
        return "length" if self.completion_tokens >= self.request.sampling.max_new_tokens else None

    @property
    def _stopped_by_caller(self) -> FinishReason:
        """Why a reply ended that one of the caller's stops has cut: to a program, "stop" means that JSON is whole."""
        return "length" if self.request.sampling.has_form else "stop"

    def finish(self, finished: Finished) -> None:
        """Hand out what was held back, and the end. A character that is not complete is not handed out."""
        self._show(self._stops.finish())
        self.generation.put(replace(finished, tokens=tuple(self._untold), scores=tuple(self._untold_scores)))

    def _told(self, token: int, logprob: float, likeliest: Likeliest) -> ChosenToken:
        written_out = self._detokenizer.written_out
        top = tuple(TokenLogprob(written_out(one), of_one) for one, of_one in likeliest)
        return ChosenToken(written_out(token), logprob, top)

    def _show(self, text: str) -> None:
        if text:
            told, self._untold = tuple(self._untold), []
            scores, self._untold_scores = tuple(self._untold_scores), []
            new = tuple(self.tokens[self.prompt + self._shown :])
            self._shown += len(new)
            self.generation.put(Delta(text, len(new), told, () if self.request.sampling.stop else new, scores))


@dataclass
class BlockKeys:
    """The keys of a sequence's full blocks, worked out as the tokens come."""

    salt: bytes
    _keys: list[bytes] = field(default_factory=list)

    def upto(self, tokens: collections.abc.Sequence[int], end: int) -> list[bytes]:
        """Those of all blocks that are full with the first ``end`` tokens."""
        count = end // BLOCK
        while len(self._keys) < count:
            begin = len(self._keys) * BLOCK
            previous = self._keys[-1] if self._keys else self.salt
            self._keys.append(key_after(previous, tokens[begin : begin + BLOCK]))
        return self._keys[:count]
