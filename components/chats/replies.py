"""The replies that are being written in this process, and how they are kept while they grow."""

import contextlib
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Protocol, cast

from sqlalchemy import Connection

from components.chats.keeper import Keeper
from components.chats.records import reply_now
from components.chats.reply import Before, End, ReplyTask, Snapshot
from components.chats.score_log import ScoreLog, matching
from components.engine.errors import EngineError
from components.engine.interface import Engine, GenerationRequest
from components.sampling.kept import KeptScores, KeptScoresError
from components.settings import get_settings
from components.store.conversations import purge
from components.store.database import Database, get_database
from components.store.errors import NotFoundError, StoreError
from components.store.faults import is_refused, refusal
from components.store.links import purge_expired
from components.store.messages import Messages, stops_wanted
from components.store.postgres import PATIENT
from components.store.processes import Processes, cut_orphans, this_process
from components.store.rows import Message, Reply
from components.store.scores import Scores

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0

CHECK_SECONDS = 5.0
PURGE_SECONDS = 3600.0

BIN_SECONDS = 30 * 24 * 3600.0
"""What was deleted can be had back for so long."""

LINGER_SECONDS = 30.0
"""A reply is remembered for so long after it was kept: who has just read the store may have an older state of it."""


class Written(Protocol):
    """A reply being written, here or in another process, as pages look at it."""

    began: float

    def snapshot(self) -> Snapshot:
        """What there is now."""

    def wait(self, seen: Snapshot, timeout: float) -> Snapshot:
        """The same, but only once it differs from ``seen``, or after ``timeout`` seconds."""

    def stop(self) -> None:
        """Have it stopped."""


@dataclass
class _Running:
    conversation: str
    message: int
    begun: Reply
    task: ReplyTask
    kept: Snapshot | None = None
    kept_at: float = 0.0

    @property
    def is_kept(self) -> bool:
        return self.kept is not None and self.kept.end is not None


class Replies:
    """Starts replies and keeps them as they grow. All methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self.process = secrets.token_urlsafe(12)
        self.database = database
        self._row = this_process(self.process)
        self._checked_at = -math.inf
        self._purged_at = -math.inf
        self._has_deleted = False
        self._running: dict[int, _Running] = {}
        self._lock = threading.Lock()
        self.keeper = Keeper(database, self._to_keep)

    def start(
        self,
        engine: Engine,
        request: GenerationRequest,
        message: Message,
        tokens: Sequence[int] = (),
        scores: KeptScores | None = None,
        before: Before | None = None,
    ) -> None:
        """Have the reply ``message`` written, or written on behind ``tokens``. Returns at once.

        ``scores`` are of a reply that begins as this one does; those of its beginning are kept with the new ones. A
        request that the engine refuses is a reply that ended with this error, or is again what it was ``before``.
        """
        assert message.reply is not None
        begun = matching(scores, tokens, message.text)
        is_whole = begun is not None or not message.text
        task = ReplyTask(
            message.text,
            tokens,
            unwatched_seconds=get_settings().unwatched_reply_seconds,
            on_end=self.keeper.wake,
            scores=ScoreLog(
                engine.info.vocabulary, begun, is_whole=is_whole, tells_logprobs=engine.info.tells_logprobs
            ),
            before=before,
        )
        with self._lock:
            self._running[message.id] = _Running(message.conversation, message.id, message.reply, task)
        try:
            task.follow(engine.generate(request))
        except EngineError as error:
            task.fail(error)
        except Exception:
            # A fault of ours: the page says so. The reply must still end, or it would be waited for for ever.
            task.fail(EngineError("The request could not be handed to the model. The server's log says why."))
            raise

    def find(self, message: Message) -> Written | None:
        """The reply ``message`` while it is written, here or elsewhere, or is not kept yet; else None."""
        if (running := self._find(message.id)) is not None:
            return running.task
        is_written = message.reply is not None and message.reply.end is None
        return _Elsewhere(self.database, message) if is_written else None

    def here(self, message: Message) -> Message:
        """``message`` with what this process has written of it and the store may not have yet."""
        if (running := self._find(message.id)) is None:
            return message
        now = running.task.unseen()
        return replace(message, text=now.text, reply=reply_now(running.begun, running.task, now.end))

    def now(self, message: Message) -> Message:
        """``message`` as it is now: more of it may be written, here or elsewhere, than was read.

        Raises:
            NotFoundError: it was deleted meanwhile.
            StoreError: it is in the store, which cannot be read at present.
        """
        message = self.here(message)
        if message.reply is None or message.reply.end is not None or self._find(message.id) is not None:
            return message
        with self.database.reading() as connection:
            return Messages(connection, message.conversation).get(message.id)

    def refusal(self, message: int) -> EngineError | None:
        """Why a reply was not written on just now, though that was asked for; None where it was, or some time ago."""
        running = self._find(message)
        return running.task.error if running is not None and running.task.restored is not None else None

    def is_kept(self, message: int) -> bool:
        """Whether this process has nothing of a reply that the store has not, its end included."""
        running = self._find(message)
        return running is None or running.is_kept

    def tokens(self, message: Message) -> Sequence[int]:
        """The token ids of a reply that has ended; none where they are not known.

        Raises:
            StoreError: they are in the store, which cannot be read at present.
        """
        if (running := self._find(message.id)) is not None:
            return running.task.tokens
        with self.database.reading() as connection:
            return Messages(connection, message.conversation).tokens(message.id)

    def scores(self, message: Message) -> KeptScores | None:
        """The scores that are kept of a reply; None where they are not, or not of all of it.

        Raises:
            StoreError: they are in the store, which cannot be read at present.
        """
        if (running := self._find(message.id)) is not None:
            return running.task.scores
        with self.database.reading() as connection:
            packed = Scores(connection, message.conversation).get(message.id)
        try:
            return None if packed is None else KeptScores.unpack(packed)
        except KeptScoresError as error:
            logger.warning("The scores of a reply cannot be read: %s", error)
            return None  # as if there were none: the model can read them again

    def cancel_all(self, conversation: str) -> None:
        """Stop what is being written in a conversation."""
        with self._lock:
            tasks = [running.task for running in self._running.values() if running.conversation == conversation]
        for task in tasks:
            task.cancel()

    def register(self, connection: Connection) -> None:
        """Note in the store that this process writes: in the transaction that says what it writes, or before."""
        Processes(connection).register(self._row)

    def clear_deleted(self) -> None:
        """Take what was deleted for good out of the database's files: now, or as soon as nobody reads."""
        self._has_deleted = not self.database.clear_deleted()

    def close(self) -> None:
        """Keep what there is of every reply, and mark those as cut that are still written."""
        self.keeper.close()
        with contextlib.suppress(StoreError), self.database.writing() as connection:
            Processes(connection).forget(self.process)
            cut_orphans(connection, own="")

    def _find(self, message: int) -> _Running | None:
        with self._lock:
            return self._running.get(message)

    def _to_keep(self) -> Callable[[Connection], Callable[[], None]] | None:
        """What the keeper writes every second; None while nothing is written and nothing is due."""
        with self._lock:
            for one in list(self._running.values()):
                if one.is_kept and time.monotonic() - one.kept_at > LINGER_SECONDS:
                    del self._running[one.message]
            running = [one for one in self._running.values() if not one.is_kept]
        for one in running:
            if one.task.end is not None:
                one.task.packed_scores()  # now, so that no transaction waits for it
        is_due = time.monotonic() - self._checked_at >= CHECK_SECONDS
        return partial(self._keep_all, running) if running or is_due else None

    def _keep_all(self, running: Sequence[_Running], connection: Connection) -> Callable[[], None]:
        later = self._look_after(connection)
        if not running:
            return later
        seen = [(one, *one.task.to_keep()) for one in running]
        for one, now, tokens in seen:
            if now != one.kept:
                _keep_one(connection, one, now, tokens)
        for message in stops_wanted(connection, self.process):
            if (wanted := self._find(message)) is not None:
                wanted.task.cancel()

        def note() -> None:
            with self._lock:
                for one, now, _ in seen:
                    one.kept, one.kept_at = now, time.monotonic()
            later()

        return note

    def _look_after(self, connection: Connection) -> Callable[[], None]:
        """From time to time: say that this process lives, end what dead ones left, and empty the bin.

        Gives what to do when that is kept.
        """
        now = time.monotonic()
        if now - self._checked_at >= CHECK_SECONDS:
            self.register(connection)
            cut_orphans(connection, self.process)
            self._checked_at = now
            if self._has_deleted:  # by the transaction before this one
                return self.clear_deleted
        if now - self._purged_at >= PURGE_SECONDS:
            self._purged_at = now
            return threading.Thread(target=self._purge, name="purge", daemon=True).start
        return lambda: None

    def _purge(self) -> None:
        """In a thread and a transaction of its own: what takes long must not keep replies from being kept."""
        try:
            with self.database.writing(patience=PATIENT) as connection:
                purged = purge(connection, time.time() - BIN_SECONDS) + purge_expired(connection, time.time())
        except StoreError as error:
            logger.warning("The bin is not emptied; it is tried again in an hour. %s", error)
            return
        if purged:
            self.clear_deleted()


def _keep_one(connection: Connection, one: _Running, now: Snapshot, tokens: Sequence[int]) -> None:
    """Keep a reply as it is now: apart from the others, which a value that the database refuses must not hold up."""
    messages = Messages(connection, one.conversation)
    try:
        with connection.begin_nested():
            messages.set_reply(one.message, now.text, tokens, reply_now(one.begun, one.task, now.end))
            if now.end is not None:
                Scores(connection, one.conversation).put(one.message, one.task.packed_scores())
    except Exception as error:
        if not is_refused(error):
            raise
        logger.error("A reply is kept without its figures, which the database refuses: %s", refusal(error))
        _keep_text(connection, one, now)


def _keep_text(connection: Connection, one: _Running, now: Snapshot) -> None:
    try:
        with connection.begin_nested():
            reply = replace(one.begun, end=now.end)
            Messages(connection, one.conversation).set_reply(one.message, now.text, (), reply)
    except Exception as error:
        if not is_refused(error):
            raise
        logger.error("A reply is not kept, because the database refuses it: %s", refusal(error))


class _Elsewhere:
    """A reply that another process writes: what the store has of it, looked at once a second."""

    def __init__(self, database: Database, message: Message) -> None:
        self.began = time.monotonic() - max(0.0, time.time() - message.created)
        self._database = database
        self._message = message

    def snapshot(self) -> Snapshot:
        """What the store has now; while it cannot be read, what it had."""
        with contextlib.suppress(StoreError, NotFoundError), self._database.reading() as connection:
            self._message = Messages(connection, self._message.conversation).get(self._message.id)
        end = self._message.reply.end if self._message.reply else "cut"
        return Snapshot(self._message.text, None, cast("End | None", end))

    def wait(self, seen: Snapshot, timeout: float) -> Snapshot:
        """Look again until something has changed."""
        deadline = time.monotonic() + timeout
        while (now := self.snapshot()) == seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))
        return now

    def stop(self) -> None:
        """Leave word for the process that writes."""
        with contextlib.suppress(StoreError), self._database.writing() as connection:
            Messages(connection, self._message.conversation).want_stopped(self._message.id)


@lru_cache(maxsize=1)
def get_replies() -> Replies:
    """The replies of this process."""
    return Replies(get_database())
