"""Writes to the database what must not be lost: at once if it can, else as soon as the database is back."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext

from sqlalchemy import Connection

from components.store.database import Database
from components.store.errors import ConflictError, NotFoundError, StoreError

logger = logging.getLogger(__name__)

Change = Callable[[Connection], None]
"""What is to be written. It may be tried again after a failure, so doing it twice must be as good as once."""

Routine = Callable[[], Callable[[Connection], Callable[[], None]] | None]
"""What is written again and again, None when there is nothing now. It is asked before what waits is written, so that it
never overtakes that; and what it writes gives what to do once it is kept."""

INTERVAL_SECONDS = 1.0
"""A growing reply is written this often: what a crash can cost."""


class Keeper:
    """Keeps changes in the order in which they come. All methods may be called from any thread.

    Attributes:
        problem: why something is not kept at present, for people; None when everything is.
    """

    def __init__(self, database: Database, routine: Routine, interval: float = INTERVAL_SECONDS) -> None:
        """``routine`` is done every ``interval`` seconds, and at once after ``wake``."""
        self.problem: str | None = None
        self._database = database
        self._routine = routine
        self._interval = interval
        self._waiting: deque[Change] = deque()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._woken.set()  # the first time at once: there may be something to put right
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether something is not kept yet, so that what the database has is older."""
        return bool(self._waiting) or self.problem is not None

    def keep(self, change: Change) -> bool:
        """Write ``change`` now if nothing else waits and the database takes it, else later. Gives whether it is kept.

        Raises:
            NotFoundError: what it changes is gone.
        """
        with self._lock if not self.is_behind else nullcontext():
            if not self.is_behind:
                try:
                    self._write(change)
                except StoreError as error:
                    self._waiting.append(change)  # first: while something waits, the problem is not over
                    self._note(error)
                    return False
                return True
            self._waiting.append(change)
        return False

    def settle(self, timeout: float) -> bool:
        """Wait until all that was to be kept is, for so many seconds at the most; gives whether it is."""
        deadline = time.monotonic() + timeout
        while self.is_behind and time.monotonic() < deadline:
            self.wake()
            time.sleep(0.02)
        return not self.is_behind

    def wake(self) -> None:
        """Do the routine now, not at the end of the interval."""
        self._woken.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what can still be written, and end."""
        self._closed = True
        self.wake()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._woken.wait(self._interval)
            closed = self._closed
            self._woken.clear()
            self._work()
            if closed:
                return

    def _work(self) -> None:
        try:
            change = self._routine()
            while self._waiting:
                self._write_or_drop(self._waiting[0])
                self._waiting.popleft()  # only now: what comes meanwhile must wait behind it
            if change is not None:
                with self._database.writing() as connection:
                    then = change(connection)
                then()
            elif self.problem is not None:
                self._write(lambda _: None)  # whether the database is back
        except StoreError as error:
            self._note(error)
        except Exception:  # the edge of the thread: it must live on, and nothing above could report it
            logger.exception("Something could not be kept")
        else:
            if self.problem is not None and not self._waiting:
                self.problem = None
                logger.info("Conversations are kept again.")

    def _write(self, change: Change) -> None:
        with self._database.writing() as connection:
            change(connection)

    def _write_or_drop(self, change: Change) -> None:
        try:
            self._write(change)
        except (NotFoundError, ConflictError) as error:
            logger.warning("A change was left out because what it changes is gone: %s", error)

    def _note(self, error: StoreError) -> None:
        if self.problem is None:
            logger.error("Conversations cannot be kept at present; it is tried again. %s", error)
        self.problem = str(error)
