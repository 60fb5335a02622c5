"""A reply that goes on being written whatever happens to the page that shows it.

It belongs to the server: a thread of the reply's own takes the engine's events, and any number of pages, in any number
of tabs, look at the text so far. Nobody need look; an owner may have it ended when nobody has for a while.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from components.chats.pace import Pace
from components.chats.score_log import ScoreLog
from components.engine.errors import EngineError
from components.engine.events import Delta, Finished, FinishReason, Waiting
from components.engine.interface import Generation
from components.sampling.kept import KeptScores
from components.store.rows import Reply

CANCEL_SECONDS = 1.0
"""How long to wait for the engine's last figures after a stop. One that stands in line answers much later."""

End = FinishReason | Literal["failed", "cut"]
"""``failed``: by an error; ``cut``: the server that wrote it ended, or was killed."""


@dataclass(frozen=True)
class Snapshot:
    """What there is to show of a reply at one moment.

    ``waiting`` is the place in line, None when that is not known; ``end`` is None while it is written.
    """

    text: str
    waiting: Waiting | None
    end: End | None


@dataclass(frozen=True)
class Before:
    """What there was of a reply before it is written on: how it was written, its tokens and their scores."""

    reply: Reply
    tokens: Sequence[int]
    scores: KeptScores | None


class ReplyTask:
    """The writing of one reply, from the request to its end: a task that script runs look at, wait for and stop."""

    def __init__(
        self,
        written: str = "",
        tokens: Sequence[int] = (),
        unwatched_seconds: float | None = None,
        on_end: Callable[[], None] = lambda: None,
        scores: ScoreLog | None = None,
        before: Before | None = None,
    ) -> None:
        """Begin, or write a reply on.

        Args:
            written: the text that it already has.
            tokens: the token ids that this text came from, where they are known.
            unwatched_seconds: after how long without anybody looking it is ended; None: never.
            on_end: called once when it has ended, by whoever ended it.
            scores: of what it already has; takes those of what comes.
            before: what it is again if it ends before anything is written on.
        """
        self._unwatched_seconds = unwatched_seconds
        self._on_end = on_end
        self._scores = scores or ScoreLog(is_whole=not written)
        self._packed: bytes | None = None
        self._before = before
        self._has_grown = False
        self.text = written
        self._knows_begin = bool(tokens) or not written
        self._ids: list[int] | None = list(tokens)  # what ``text`` comes from; None when a piece came without
        self.end: End | None = None
        self.finished: Finished | None = None
        self.error: EngineError | None = None
        self.began = time.monotonic()
        self.pace = Pace()
        self._waiting: Waiting | None = None
        self._generation: Generation | None = None
        self._looked_at = self.began
        self._changed = threading.Condition()

    @property
    def restored(self) -> Before | None:
        """What the reply is again because nothing was written on; None where something was, or still may be.

        A model that had nothing to add has ended it.
        """
        has_grown = self._has_grown or (self.finished is not None and self.finished.completion_tokens > 0)
        return None if has_grown or self.end not in ("failed", "cancelled", "time") else self._before

    @property
    def tokens(self) -> Sequence[int]:
        """The token ids of the whole text so far; none where they are not known of all of it.

        Those of a reply that the engine has ended may hold more: the beginning of a character that is not shown.
        """
        if (restored := self.restored) is not None:
            return restored.tokens
        if not self._knows_begin:
            return ()
        return self.finished.receipt.tokens if self.finished and self.finished.receipt else tuple(self._ids or ())

    @property
    def scores(self) -> KeptScores | None:
        """The scores of what there is so far; None where they are not known of all of it."""
        with self._changed:
            return self._scores.kept if (restored := self.restored) is None else restored.scores

    def packed_scores(self) -> bytes | None:
        """The same of a reply that has ended, as they are kept. The first time it takes some milliseconds."""
        if self._packed is None and (scores := self.scores) is not None:
            self._packed = scores.pack()
        return self._packed

    def follow(self, generation: Generation) -> None:
        """Take the events of ``generation`` from now on. Returns at once."""
        self._generation = generation
        threading.Thread(target=self._collect, args=(generation,), name="reply", daemon=True).start()

    def fail(self, error: EngineError) -> None:
        """End the reply with an error. What was written stays."""
        with self._changed:
            self.error = error
            self._settle("failed")

    def cancel(self) -> None:
        """Ask the engine to stop, and wait for nothing."""
        if self._generation is not None:
            self._generation.cancel()

    def stop(self) -> None:
        """Stop writing. What was written stays; the engine is free again when it answers."""
        with self._changed:
            if self._generation is not None:
                self._generation.cancel()
                self._changed.wait_for(lambda: self.end is not None, CANCEL_SECONDS)
            self._settle("cancelled")

    def snapshot(self) -> Snapshot:
        """What there is now. Asking counts as looking."""
        with self._changed:
            self._looked_at = time.monotonic()
            return self._snapshot()

    def unseen(self) -> Snapshot:
        """The same for the server's own use: nobody looks."""
        with self._changed:
            return self._snapshot()

    def to_keep(self) -> tuple[Snapshot, Sequence[int]]:
        """The same, with the token ids of just this text."""
        with self._changed:
            return self._snapshot(), self.tokens

    def wait(self, seen: Snapshot, timeout: float) -> Snapshot:
        """Like ``snapshot``, but only once it differs from ``seen``, or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot() != seen, timeout)
            self._looked_at = time.monotonic()
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        return Snapshot(self.text, self._waiting, self.end)

    def _collect(self, generation: Generation) -> None:
        while self.end is None:
            if self._unwatched_seconds is not None and time.monotonic() - self._looked_at > self._unwatched_seconds:
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
                    case Delta(text, count, ids=ids):
                        self.text += text
                        self._has_grown = True
                        self.pace.note(time.monotonic() - self.began, count)
                        self._note_ids(ids)
                        self._scores.note(event)
                    case Finished(reason):
                        self._scores.note(event)
                        self.finished = event
                        self._settle(reason)
                self._changed.notify_all()

    def _note_ids(self, ids: Sequence[int]) -> None:
        if not ids:
            self._ids = None
        elif self._ids is not None:
            self._ids += ids

    def _settle(self, end: End) -> None:
        if self.end is None:
            self.end = end
            self._on_end()
        self._changed.notify_all()
