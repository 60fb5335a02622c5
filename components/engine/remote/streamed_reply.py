"""One reply while another server writes it: from the parts of its stream to events for the reader."""

import time
from typing import cast

from openai.types import CompletionUsage

from components.engine.events import ChosenToken, Delta, Finished, FinishReason, PromptRead, Waiting
from components.engine.interface import Generation, GenerationRequest
from components.engine.measuring import Text, estimate_tokens
from components.engine.remote.chunks import Part
from components.engine.remote.failures import DroppedError
from components.engine.remote.whole_characters import WholeCharacters
from components.sampling.stopping import TextLoopGuard


class StreamedReply:
    """A request's state in the engine.

    Attributes:
        pieces: pieces of text so far, which is nearly the number of tokens.
        end: why the reply ended; None while it is written.
        usage: the server's count of tokens, once it has told it.
        fingerprint: what the server calls its own version.
        untold: tokens whose text is not shown yet.
        waited: seconds in which the server was being started again.
        prompt_told: whether the reader knows how likely the prompt's tokens were.
    """

    def __init__(self, request: GenerationRequest, generation: Generation) -> None:
        self.request = request
        self.generation = generation
        self.asked_at = time.monotonic()
        self.first_piece_at: float | None = None
        self.last_piece_at: float | None = None
        self.pieces = 0
        self.end: FinishReason | None = None
        self.usage: CompletionUsage | None = None
        self.fingerprint: str | None = None
        self.untold: tuple[ChosenToken, ...] = ()
        self.waited = 0.0
        self.prompt_told = False
        self._told: tuple[int, int | None] | None = None  # the place in line that the reader knows of
        self._guard = TextLoopGuard()
        self._characters = WholeCharacters()
        self._shown = 0  # pieces whose text the reader has

    def tell_place(self, ahead: int, seconds: float | None) -> None:
        """Tell the reader how many are before it and how long that takes, if that has changed."""
        place = (ahead, None if seconds is None else round(seconds))
        if place != self._told:
            self._told = place
            self.generation.put(Waiting(ahead, seconds))

    def tell_prompt(self, prompt: PromptRead) -> None:
        """Tell the reader how likely the prompt's tokens were. Once: asked for again, the server need not read it."""
        self.prompt_told = True
        self.generation.put(prompt)

    def take(self, part: Part) -> None:
        """Take the next part of the stream and hand its text to the reader.

        Raises:
            DroppedError: the server gave up.
        """
        self.usage = part.usage or self.usage
        self.fingerprint = part.fingerprint or self.fingerprint
        self.untold += part.tokens
        if part.text:
            self.last_piece_at = time.monotonic()
            self.first_piece_at = self.first_piece_at or self.last_piece_at
            self.pieces += 1
            if text := self._characters.push(part.text):
                tokens, self.untold = self.untold, ()
                self.generation.put(Delta(text, len(tokens) or self.pieces - self._shown, tokens))
                self._shown = self.pieces
            if self._guard.push(part.text):
                self.end = "loop"
        if part.end == "abort":  # vLLM's word for a request that it lost
            raise DroppedError("the reply was aborted")
        if part.end is not None and self.end is None:
            self.end = "length" if part.end == "length" else "stop"

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it is wanted, though the server goes on."""
        return self.end == "loop"

    @property
    def prompt_tokens(self) -> int:
        """How many the prompt has, or about how many."""
        if self.usage is not None:
            return self.usage.prompt_tokens
        prompt = self.request.messages if self.request.prompt is None else self.request.prompt
        if isinstance(prompt, str) or self.request.prompt is None:
            return estimate_tokens(cast("Text", prompt))
        return len(prompt)

    @property
    def completion_tokens(self) -> int:
        """How many there are, or about how many."""
        return self.usage.completion_tokens if self.usage else self.pieces

    @property
    def reused_tokens(self) -> int:
        """How many of the prompt's the server knew from before."""
        details = self.usage.prompt_tokens_details if self.usage else None
        return (details.cached_tokens or 0) if details else 0

    @property
    def is_estimated(self) -> bool:
        """Whether nobody has counted the tokens."""
        return self.usage is None

    def finish(self, finished: Finished) -> None:
        """Hand out the end. A character that is not complete is not handed out."""
        self.generation.put(finished)

    @property
    def seconds_per_piece(self) -> float | None:
        """Between two pieces; None while there are not two."""
        if self.first_piece_at is None or self.last_piece_at is None or self.pieces < 2:
            return None
        return (self.last_piece_at - self.first_piece_at) / (self.pieces - 1)
