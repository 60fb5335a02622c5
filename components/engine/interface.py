"""What every caller of an engine sees: a request goes in, a stream of events comes out, and it can be cancelled.

The page, ``POST /`` and ``/v1`` know only this module and the events, so an engine can be replaced without their
noticing.
"""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self

from components.engine.errors import ContextFullError, EngineError, PromptError, UnsupportedError
from components.engine.events import Event, Finished
from components.engine.line.limits import Limits
from components.engine.measuring import Measure, measured_prompt
from components.engine.watching.activity import Activity, Origin
from components.model.chat_format import Message, Prompt, split_system
from components.sampling.parameters import SamplingParams

Stage = Literal["libraries", "weights", "warm_up", "server", "installing", "exporting", "starting"]
"""What loading is doing: importing torch and transformers, reading the weights, answering a first trial prompt; or
asking another server what it has; or installing such a server, writing the checkpoint for it, and waiting for it."""


@dataclass(frozen=True)
class EngineInfo:
    """What is running, for people to read.

    ``context_length`` is in tokens, prompt and reply together; ``dtype`` names the quantization, too; ``vocabulary`` is
    how many tokens there are, 0 where another server does not tell; ``tells_logprobs`` says that kept scores are
    natural log probabilities, and no logits.
    """

    model: str
    is_demo: bool
    device: str
    dtype: str
    context_length: int
    defaults: SamplingParams
    engine: str = ""
    vocabulary: int = 0
    tells_logprobs: bool = False


@dataclass(frozen=True)
class Piece:
    """What a single token stands for: its bytes, which may be no character; a control token's are written out."""

    text: bytes
    is_control: bool


@dataclass(frozen=True)
class Load:
    """How busy an engine is: replies being written and waiting, and the tokens of its caches."""

    active: int
    waiting: int
    used_tokens: int
    idle_tokens: int
    capacity_tokens: int


@dataclass(frozen=True)
class GenerationRequest:
    """One reply to write.

    Attributes:
        messages: the conversation to answer. Empty when there is a ``prompt``.
        sampling: how.
        visitor: whose it is: visitors take turns where requests wait.
        continues: token ids with which the reply begins already; it is written on behind them, and only what is new is
            told.
        prompt: a text, or its token ids, to write on as it stands. What is written out in a text is never a control
            token.
        logprobs: how many of the likeliest tokens are told in each place, besides the one that was chosen; None tells
            no log probabilities at all.
        prompt_logprobs: the same for the prompt's tokens, which ``PromptRead`` tells.
        writes: whether there is a reply; else the prompt is only read.
        origin: who asks.
        request_id: of the HTTP request it came with, for the log.
        limited: whether the visitor's share is limited; the owner's is not.
        address: where the visitor comes from, whose share is counted, too; empty for nobody's.
        kept_scores: of how many of the likeliest tokens the scores are told with each token; 0 tells none. Where
            nothing is written, they are read of the tokens that the reply ``continues``; ``ScoresRead`` tells them.
        exact_at: places among the tokens that the reply ``continues``, or the one behind them, of which ``ScoresRead``
            tells what the sampling parameters make of all scores. Only where nothing is written.
        reused: for these two, how many tokens of the prompt came from the prefix cache when the reply was written.
        may_be_shorter: whether less than ``max_new_tokens`` may be written where there are messages, and the newest
            round, with what the reply has already, leaves less room in the context; else there is no reply then.
    """

    messages: Sequence[Message]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    visitor: str = ""
    prompt: str | Sequence[int] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    writes: bool = True
    origin: Origin = "own"
    request_id: str = ""
    limited: bool = False
    continues: Sequence[int] = ()
    address: str = ""
    kept_scores: int = 0
    exact_at: Sequence[int] | None = None
    reused: int = 0
    may_be_shorter: bool = False

    @property
    def reads_scores(self) -> bool:
        """Whether the scores of a reply are read that is written already."""
        if self.writes:
            return False
        return bool(self.exact_at) if self.exact_at is not None else bool(self.kept_scores and self.continues)

    @property
    def longest(self) -> int:
        """How many tokens may follow the prompt, those that the reply begins with already not counted."""
        return self.sampling.max_new_tokens if self.writes else 0


class Generation:
    """A reply being written: one engine thread puts events in, one reader takes them out.

    Reading ends with ``Finished``, or raises the ``EngineError`` that ended it. Leaving the ``with`` block cancels
    what is still being written, so a reader that goes away always frees its place.
    """

    def __init__(self, watch: Callable[[Event | EngineError], None] | None = None) -> None:
        """``watch`` sees every event as it is put in."""
        self.on_cancel: Callable[[], None] | None = None
        self._watch = watch
        self._events: queue.SimpleQueue[Event | EngineError] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the reader no longer wants the reply. The engine looks at this before every token."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the engine to stop. It answers with ``Finished("cancelled")``."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            if self.on_cancel is not None:
                self.on_cancel()

    def put(self, event: Event | EngineError) -> None:
        """For engines: hand an event, or the error that ends the stream, to the reader."""
        if self._watch is not None:
            self._watch(event)
        self._events.put(event)

    def get(self, timeout: float | None = None) -> Event:
        """Wait for the next event.

        Args:
            timeout: seconds; None waits as long as it takes.

        Raises:
            TimeoutError: nothing came in time; ask again.
            EngineError: the generation failed.
        """
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(event, EngineError):
            raise event
        return event

    def __iter__(self) -> Iterator[Event]:
        """All events up to and including ``Finished``. Raises the ``EngineError`` that ended the stream."""
        while True:
            event = self.get()
            yield event
            if isinstance(event, Finished):
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class Engine(ABC):
    """Turns messages into replies. All methods may be called from any thread.

    Attributes:
        info: what is running.
        weights: SHA-256 over the weight files; None while that is not known.
        activity: what the engine is doing.
        limits: how much each visitor may have.
    """

    info: EngineInfo

    def __init__(self) -> None:
        self.weights: str | None = None
        self.activity = Activity()
        self.limits = Limits()

    def generate(self, request: GenerationRequest) -> Generation:
        """Start writing a reply, or put it in line. Returns at once.

        Raises:
            PromptError: the messages are not a conversation, or the newest one does not fit the context.
            QueueFullError: too many replies wait already.
            LimitError: the visitor has had its share.
        """
        if request.limited:
            self.limits.begin(request.visitor, request.address)

        def watch(event: Event | EngineError) -> None:
            self.activity.note(running, event)
            if request.limited and isinstance(event, Finished | EngineError):
                tokens = event.prompt_tokens + event.completion_tokens if isinstance(event, Finished) else 0
                self.limits.end(request.visitor, tokens, request.address)

        generation = Generation(watch)
        asked = request.messages if request.prompt is None else request.prompt
        running = self.activity.begin(request.origin, request.visitor, generation.cancel, request.request_id, asked)
        try:
            self._start(request, generation)
        except Exception as error:
            watch(error if isinstance(error, EngineError) else EngineError(str(error)))
            raise
        return generation

    def room_for_prompt(self, max_new_tokens: int) -> int:
        """How many tokens a prompt may have when ``max_new_tokens`` are kept free for the reply.

        Raises:
            PromptError: none.
        """
        room = self.info.context_length - max_new_tokens
        if room < 1:
            raise PromptError(
                f"max_new_tokens={max_new_tokens} leaves no room for a question: "
                f"the context is {self.info.context_length} tokens. Ask for a shorter reply."
            )
        return room

    def too_long(self, max_new_tokens: int) -> PromptError:
        """The error for a prompt that does not fit together with ``max_new_tokens``."""
        return PromptError(
            f"The message is too long: it may have {self.info.context_length - max_new_tokens} tokens when the reply "
            f"may have {max_new_tokens} and the context is {self.info.context_length}. "
            "Shorten it, or ask for a shorter reply."
        )

    def shortened(self, request: GenerationRequest, used: int) -> GenerationRequest:
        """The request with a longest reply for which the context has room behind ``used`` tokens.

        Raises:
            ContextFullError: there is no room for a single one.
        """
        length = self.info.context_length
        if used >= length:
            raise ContextFullError(
                f"The context is full: the newest question and what is written of the reply have {used:,} tokens, and "
                f"there is room for {length:,} in all. Ask a new question, for which older messages make room."
            )
        longest = min(request.sampling.max_new_tokens, length - used)
        return replace(request, sampling=request.sampling.model_copy(update={"max_new_tokens": longest}))

    @property
    def failure(self) -> str | None:
        """Why every reply fails at present, and what to do, for people; None while they do not."""
        return None

    @abstractmethod
    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """What the model will read for these messages when ``max_new_tokens`` are kept free for the reply.

        Raises:
            PromptError: the messages are not a conversation that the model can answer.
            EngineNotReadyError: only another server knows the model's tokens, and it does not answer.
        """

    def build_whole_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """The same where the reply may be shorter: the newest round is never cut, however little room it leaves.

        Raises:
            PromptError: the messages are not a conversation that the model can answer.
            UnsupportedError: this engine cannot tell.
            EngineNotReadyError: only another server knows the model's tokens, and it does not answer.
        """
        prompt = self.build_prompt(messages, min(max_new_tokens, self.info.context_length - 1))
        if not prompt.too_long:
            return prompt
        system, turns = split_system(messages)
        return replace(prompt, input_ids=self.tokenize([*system, *turns[prompt.dropped_messages :]]))

    def estimate_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """The same as far as it can be told without knowing the model's tokens: a careful guess, and no ids.

        Raises:
            PromptError: the messages are not a conversation that the model can answer.
        """
        return measured_prompt(messages, self.room_for_prompt(max_new_tokens), Measure(None))

    @abstractmethod
    def tokenize(self, text: str | Sequence[Message], *, invites: bool = True) -> list[int]:
        """The token ids of a text, or of a conversation with the invitation to reply. Nothing is left out.

        Args:
            text: which.
            invites: false for a conversation without that invitation.

        Raises:
            PromptError: the messages are not a conversation that the model can answer.
            UnsupportedError: this engine cannot tell.
            EngineNotReadyError: the server that could tell does not answer.
        """

    @abstractmethod
    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, control tokens written out, without a character that is not complete at their end.

        One that is broken before that is shown as the model's own tokenizer shows it.

        Raises:
            PromptError: one of them is no token.
            UnsupportedError: this engine cannot tell.
            EngineNotReadyError: the server that could tell does not answer.
        """

    def pieces(self, tokens: Sequence[int]) -> list[Piece]:  # noqa: ARG002 for those that know
        """What each of these tokens stands for by itself.

        Raises:
            PromptError: one of them is no token.
            UnsupportedError: this engine cannot tell.
        """
        raise UnsupportedError("This engine does not know what single tokens stand for.")

    def reply_text(self, tokens: Sequence[int]) -> str:  # noqa: ARG002 for those that know
        """What is shown of a reply that has these tokens so far: whole characters, without control tokens.

        Raises:
            PromptError: one of them is no token.
            UnsupportedError: this engine cannot tell.
        """
        raise UnsupportedError("This engine does not know what single tokens stand for.")

    @abstractmethod
    def load(self) -> Load:
        """How busy the engine is now."""

    @abstractmethod
    def close(self) -> None:
        """Cancel everything and free the model's memory."""

    @abstractmethod
    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        """Write the reply to ``request`` into ``generation``, now or later, in another thread; see ``generate``."""
