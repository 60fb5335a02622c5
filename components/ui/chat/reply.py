"""A reply that goes on being written whatever happens to the script run that shows it.

Streamlit ends a running script whenever a widget changes, the reader presses a button, or the connection drops. So a
thread of the reply's own takes the engine's events, and any number of script runs, one after the other, look at the
text so far. When nobody has looked for ``GRACE_SECONDS``, the reader is gone and the engine is told to stop.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from components.engine.errors import EngineError
from components.engine.events import Delta, Finished, FinishReason, Waiting
from components.engine.interface import Generation

GRACE_SECONDS = 10.0
"""How long a reply is written on without a reader: enough for a phone that changes its network to come back."""

CANCEL_SECONDS = 1.0
"""How long to wait for the engine's last figures after a stop. One that stands in line answers much later."""

End = FinishReason | Literal["failed"]


@dataclass(frozen=True)
class Snapshot:
    """What there is to show of a reply at one moment.

    ``waiting`` is the place in line, None when that is not known; ``end`` is None while it is written.
    """

    text: str
    waiting: Waiting | None
    end: End | None


class ReplyTask:
    """The writing of one reply, from the request to its end: a task that script runs look at, wait for and stop."""

    def __init__(self, written: str = "", tokens: Sequence[int] = ()) -> None:
        """Begin, or write a reply on.

        Args:
            written: the text that it already has.
            tokens: the token ids that this text came from, where they are known.
        """
        self.text = written
        self.begun = tokens
        self.end: End | None = None
        self.finished: Finished | None = None
        self.error: EngineError | None = None
        self.began = time.monotonic()
        self._waiting: Waiting | None = None
        self._generation: Generation | None = None
        self._looked_at = self.began
        self._changed = threading.Condition()

    @property
    def tokens(self) -> Sequence[int]:
        """The token ids of an ended reply; none while it is written, or where another server wrote it."""
        return self.finished.receipt.tokens if self.finished and self.finished.receipt else ()

    def follow(self, generation: Generation) -> None:
        """Take the events of ``generation`` from now on. Returns at once."""
        self._generation = generation
        threading.Thread(target=self._collect, args=(generation,), name="reply", daemon=True).start()

    def fail(self, error: EngineError) -> None:
        """End the reply with an error. What was written stays."""
        with self._changed:
            self.error = error
            self._settle("failed")

    def stop(self) -> None:
        """Stop writing. What was written stays; the engine is free again when it answers."""
        with self._changed:
            if self._generation is not None:
                self._generation.cancel()
                self._changed.wait_for(lambda: self.end is not None, CANCEL_SECONDS)
            self._settle("cancelled")

    def snapshot(self) -> Snapshot:
        """What there is now. Asking keeps the reply being written."""
        with self._changed:
            return self._snapshot()

    def wait(self, seen: Snapshot, timeout: float) -> Snapshot:
        """Like ``snapshot``, but only once it differs from ``seen``, or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot() != seen, timeout)
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        self._looked_at = time.monotonic()
        return Snapshot(self.text, self._waiting, self.end)

    def _collect(self, generation: Generation) -> None:
        while self.end is None:
            if time.monotonic() - self._looked_at > GRACE_SECONDS:
                generation.cancel()
            try:
                event = generation.get(timeout=1.0)
            except TimeoutError:
                continue
            except EngineError as error:
                self.fail(error)
                return
            with self._changed:
                match event:
                    case _ if self.end is not None:
                        return  # stopped without the engine's answer
                    case Waiting():
                        self._waiting = event
                    case Delta(text):
                        self.text += text
                    case Finished(reason):
                        self.finished = event
                        self._settle(reason)
                self._changed.notify_all()

    def _settle(self, end: End) -> None:
        if self.end is None:
            self.end = end
        self._changed.notify_all()
