"""What an engine is doing and has done: replies under way, and figures for whoever watches the server.

The figures are Prometheus', under the names that it advises: a unit at the end, ``_total`` for what only grows.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram

from components.engine.errors import EngineError
from components.engine.events import Delta, Event, Finished, FinishReason, Waiting
from components.logs import log_request

Origin = Literal["page", "tutorial", "v1", "own"]
"""Who asked: the chat page, ``POST /``, the OpenAI-compatible API, or the application itself."""

PREFIX = "baichuan_"
FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
BETWEEN_TOKENS_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


@dataclass
class Running:
    """A reply under way.

    Attributes:
        number: unlike any other reply's.
        origin: who asked.
        visitor: whose it is.
        request_id: of the HTTP request it came with.
        began: when it was asked for, on the activity's clock.
        cancel: stops it.
        waiting: its place in line; None when it is being written, or when that is not known yet.
        tokens: of the reply so far.
        asked: what was asked, and ``text`` what was answered so far, where the log is to hold it.
        last_piece_at: when the last piece of its text came, on the same clock.
    """

    number: str
    origin: Origin
    visitor: str
    began: float
    cancel: Callable[[], None]
    request_id: str = ""
    waiting: Waiting | None = None
    tokens: int = 0
    asked: object = None
    text: str = ""
    last_piece_at: float | None = None


@dataclass(frozen=True)
class Totals:
    """What an engine has done since it started: numbers of requests and tokens, and sums of seconds."""

    requests: float
    errors: float
    prompt_tokens: float
    reused_tokens: float
    completion_tokens: float
    first_token_seconds: float
    first_tokens: float
    between_tokens_seconds: float
    between_tokens: float


class Activity:
    """Follows the replies of one engine. For any thread.

    Attributes:
        log_prompts: whether the log holds what was asked and answered.
        clock: seconds that only grow, from any beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.log_prompts = False
        self.clock = clock
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

    def totals(self) -> Totals:
        """What was counted so far."""
        (requests,) = self._requests.collect()
        ended = [one for one in requests.samples if one.name.endswith("_total")]
        return Totals(
            requests=sum(one.value for one in ended),
            errors=sum(one.value for one in ended if one.labels["outcome"] not in get_args(FinishReason)),
            prompt_tokens=self._value("prompt_tokens_total"),
            reused_tokens=self._value("prompt_tokens_reused_total"),
            completion_tokens=self._value("completion_tokens_total"),
            first_token_seconds=self._value("time_to_first_token_seconds_sum"),
            first_tokens=self._value("time_to_first_token_seconds_count"),
            between_tokens_seconds=self._value("time_between_tokens_seconds_sum"),
            between_tokens=self._value("time_between_tokens_seconds_count"),
        )

    def begin(
        self, origin: Origin, visitor: str, cancel: Callable[[], None], request_id: str = "", asked: object = None
    ) -> Running:
        """A reply was asked for."""
        running = Running(uuid4().hex[:12], origin, visitor, self.clock(), cancel, request_id)
        if self.log_prompts:
            running.asked = asked
        with self._lock:
            self._running[running.number] = running
        return running

    def note(self, running: Running, event: Event | EngineError) -> None:
        """Something happened to a reply."""
        match event:
            case Waiting():
                running.waiting = event
            case Delta():
                now = self.clock()
                if running.last_piece_at is not None:
                    self._between_tokens.observe(now - running.last_piece_at)
                running.waiting, running.last_piece_at = None, now
                running.tokens += event.count
                if self.log_prompts:
                    running.text += event.text
                self._completion_tokens.inc(event.count)
            case Finished():
                self._end(running, event.reason, event)
                self._prompt_tokens.inc(event.prompt_tokens)
                self._reused_tokens.inc(event.reused_tokens)
                # Those that gave no text. Another server's pieces may be more than its tokens.
                self._completion_tokens.inc(max(0, event.completion_tokens - running.tokens))
                if event.time_to_first_token is not None:
                    self._first_token.observe(event.time_to_first_token)
            case EngineError():
                self._end(running, type(event).__name__)

    def _end(self, running: Running, outcome: str, finished: Finished | None = None) -> None:
        with self._lock:
            self._running.pop(running.number, None)
        self._requests.labels(running.origin, outcome).inc()
        figures: dict[str, object] = {"seconds": round(self.clock() - running.began, 3)}
        if finished is not None:
            figures |= {
                "prompt_tokens": finished.prompt_tokens,
                "reused_tokens": finished.reused_tokens,
                "completion_tokens": finished.completion_tokens,
                "first_token_seconds": finished.time_to_first_token and round(finished.time_to_first_token, 3),
            }
        if self.log_prompts:
            figures |= {"asked": running.asked, "answered": running.text}
        log_request(
            "reply",
            request_id=running.request_id,
            reply=running.number,
            origin=running.origin,
            visitor=running.visitor,
            outcome=outcome,
            **figures,
        )

    def _value(self, name: str) -> float:
        return self.registry.get_sample_value(f"{PREFIX}{name}") or 0.0

    def _counter(self, name: str, about: str, labels: list[str] | None = None) -> Counter:
        return Counter(PREFIX + name, about, labels or [], registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(PREFIX + name, about, buckets=buckets, registry=self.registry)
