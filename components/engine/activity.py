"""What an engine is doing and has done: replies under way, and figures for whoever watches the server.

The figures are Prometheus', under the names that it advises: a unit at the end, ``_total`` for what only grows.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram

from components.engine.errors import EngineError
from components.engine.events import Delta, Event, Finished, Waiting

Origin = Literal["page", "tutorial", "v1", "own"]
"""Who asked: the chat page, ``POST /``, the OpenAI-compatible API, or the application itself."""

FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
BETWEEN_TOKENS_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


@dataclass
class Running:
    """A reply under way.

    Attributes:
        number: unlike any other reply's.
        origin: who asked.
        visitor: whose it is.
        began: when it was asked for, on the ``time.monotonic`` clock.
        cancel: stops it.
        waiting: its place in line; None when it is being written, or when that is not known yet.
        pieces: pieces of text so far, which is nearly the number of tokens.
    """

    number: str
    origin: Origin
    visitor: str
    began: float
    cancel: Callable[[], None]
    waiting: Waiting | None = None
    pieces: int = 0
    last_piece_at: float | None = None


class Activity:
    """Follows the replies of one engine. For any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}
        self._requests = self._counter("requests", "Replies that ended, and how", ["origin", "outcome"])
        self._prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts")
        self._reused_tokens = self._counter("prompt_tokens_reused", "Those of them that the prefix cache knew")
        self._completion_tokens = self._counter("completion_tokens", "Tokens of replies")
        self._first_token = self._histogram(
            "time_to_first_token_seconds", "From the request to the first token, waiting included", FIRST_TOKEN_BUCKETS
        )
        self._between_tokens = self._histogram(
            "time_between_tokens_seconds", "Between two pieces of a reply's text", BETWEEN_TOKENS_BUCKETS
        )

    def running(self) -> list[Running]:
        """The replies under way, the oldest first."""
        with self._lock:
            return list(self._running.values())

    def begin(self, origin: Origin, visitor: str, cancel: Callable[[], None]) -> Running:
        """A reply was asked for."""
        running = Running(uuid4().hex[:12], origin, visitor, time.monotonic(), cancel)
        with self._lock:
            self._running[running.number] = running
        return running

    def note(self, running: Running, event: Event | EngineError) -> None:
        """Something happened to a reply."""
        match event:
            case Waiting():
                running.waiting = event
            case Delta():
                now = time.monotonic()
                if running.last_piece_at is not None:
                    self._between_tokens.observe(now - running.last_piece_at)
                running.waiting, running.last_piece_at = None, now
                running.pieces += 1
            case Finished():
                self._end(running, event.reason)
                self._prompt_tokens.inc(event.prompt_tokens)
                self._reused_tokens.inc(event.reused_tokens)
                self._completion_tokens.inc(event.completion_tokens)
                if event.time_to_first_token is not None:
                    self._first_token.observe(event.time_to_first_token)
            case EngineError():
                self._end(running, type(event).__name__)

    def _end(self, running: Running, outcome: str) -> None:
        with self._lock:
            self._running.pop(running.number, None)
        self._requests.labels(running.origin, outcome).inc()

    def _counter(self, name: str, about: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"baichuan_{name}", about, labels or [], registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"baichuan_{name}", about, buckets=buckets, registry=self.registry)
