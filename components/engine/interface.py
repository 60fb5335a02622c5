"""What every caller of an engine sees: a request goes in, a stream of events comes out, and it can be cancelled.

The page, ``POST /`` and ``/v1`` know only this module, so an engine can be replaced without their noticing.
"""

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from components.engine.errors import EngineError
from components.engine.receipts import Receipt
from components.engine.sampling import SamplingParams
from components.model.chat_format import Message, Prompt

FinishReason = Literal["stop", "length", "loop", "cancelled"]
"""By itself or at a stop string; at the longest reply; going round in a circle; no longer wanted."""


@dataclass(frozen=True)
class EngineInfo:
    """What is running, for people to read.

    ``context_length`` is in tokens, prompt and reply together; ``dtype`` names the quantization, too.
    """

    model: str
    is_demo: bool
    device: str
    dtype: str
    context_length: int
    defaults: SamplingParams
    engine: str = ""


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
    """One reply to write. ``visitor`` is whose it is: visitors take turns where requests wait."""

    messages: Sequence[Message]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    visitor: str = ""


@dataclass(frozen=True)
class Waiting:
    """Others are served first: ``ahead`` requests stand before this one, for about ``seconds``, if that is known."""

    ahead: int
    seconds: float | None = None


@dataclass(frozen=True)
class Delta:
    """The next piece of the reply's text: whole characters, never empty."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The last event of a stream.

    ``seconds`` runs from the request to the end, ``time_to_first_token`` (seconds) from the request to the first
    token, which includes waiting in line; it is None when there was no token. ``reused_tokens`` of the prompt's were
    known from before. ``suggested_penalty`` goes with "loop": the mildest repetition penalty that breaks it.
    """

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    time_to_first_token: float | None
    reused_tokens: int = 0
    suggested_penalty: float | None = None
    receipt: Receipt | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed: tokens after the first one over the time since the first one."""
        if self.time_to_first_token is None or self.completion_tokens < 2:
            return None
        decoding = self.seconds - self.time_to_first_token
        return (self.completion_tokens - 1) / decoding if decoding > 0 else None


Event = Waiting | Delta | Finished


class Generation:
    """A reply being written: one engine thread puts events in, one reader takes them out.

    Reading ends with ``Finished``, or raises the ``EngineError`` that ended it. Leaving the ``with`` block cancels
    what is still being written, so a reader that goes away always frees its place.
    """

    def __init__(self, on_cancel: Callable[[], None] | None = None) -> None:
        """``on_cancel`` is called once the reader no longer wants the reply."""
        self._on_cancel = on_cancel
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
            if self._on_cancel is not None:
                self._on_cancel()

    def put(self, event: Event | EngineError) -> None:
        """For engines: hand an event, or the error that ends the stream, to the reader."""
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
    """Turns messages into replies. All methods may be called from any thread."""

    info: EngineInfo

    @abstractmethod
    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """What the model will read for these messages when ``max_new_tokens`` are kept free for the reply.

        Raises:
            PromptError: the messages are not a conversation that the model can answer.
        """

    @abstractmethod
    def generate(self, request: GenerationRequest) -> Generation:
        """Start writing a reply, or put it in line. Returns at once.

        Raises:
            PromptError: the messages are not a conversation, or the newest one does not fit the context.
            QueueFullError: too many replies wait already.
        """

    @abstractmethod
    def load(self) -> Load:
        """How busy the engine is now."""

    @abstractmethod
    def close(self) -> None:
        """Cancel everything and free the model's memory."""
