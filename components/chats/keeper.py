"""Writes to the database what must not be lost: at once if it can, else as soon as the database is back."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

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


WAIT_SECONDS = 2.0
"""Whoever asks for a change waits no longer, whatever the database does. It is kept as soon as it can be."""


@dataclass(eq=False)
class _Waiting:
    """A change that is not kept yet.

    Attributes:
        is_late: whether who asked for it waits no longer.
        done: that it was kept or left out, or that it is late.
        error: why it was left out.
    """

    change: Change
    is_late: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


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
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()  # of the line, and of whether what stands in it is late
        self._at_work = threading.Lock()
        self._woken = threading.Event()
        self._woken.set()  # the first time at once: there may be something to put right
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether something is not kept that should be by now, so that what the database has is older."""
        with self._lock:
            return self._is_behind()

    def keep(self, change: Change) -> bool:
        """Have ``change`` written behind what waits already, and wait for that a little. Gives whether it is kept.

        It is another thread that writes, and may have to wait for the database as long as that likes.

        Raises:
            NotFoundError: what it changes is gone.
            ConflictError: the database does not take it.
        """
        with self._lock:
            waiting = _Waiting(change, is_late=self._is_behind())
            self._waiting.append(waiting)
        if waiting.is_late:
            return False
        self.wake()
        if self._thread.is_alive():
            waiting.done.wait(WAIT_SECONDS)
        if not waiting.done.is_set() and not self._thread.is_alive():
            self._work()  # it was closed, perhaps just now
        if not waiting.done.is_set():
            with self._lock:
                if not waiting.done.is_set():
                    waiting.is_late = True
                    self._note(StoreError(f"it has not answered for {WAIT_SECONDS:g} s.", self._database.name))
        if waiting.is_late:
            return False
        if waiting.error is not None:
            raise waiting.error
        return True

    def settle(self, timeout: float) -> bool:
        """Wait until all that was to be kept is, for so many seconds at the most; gives whether it is."""
        deadline = time.monotonic() + timeout
        while (left := self._waiting or self.problem is not None) and time.monotonic() < deadline:
            self.wake()
            time.sleep(0.02)
        return not left

    def wake(self) -> None:
        """Do the routine now, not at the end of the interval."""
        self._woken.set()

    def close(self, timeout: float = 5.0) -> None:
        """Write what can still be written, and end."""
        self._closed = True
        self.wake()
        self._thread.join(timeout)
        if not self._thread.is_alive() and self._waiting:
            self._work()  # what came while it did the last of its work

    def _run(self) -> None:
        while True:
            self._woken.wait(self._interval)
            closed = self._closed
            self._woken.clear()
            self._work()
            if closed:
                return

    def _work(self) -> None:
        with self._at_work:
            self._write_all()

    def _write_all(self) -> None:
        try:
            change = self._routine()
            while self._waiting:
                self._write_or_leave_out(self._waiting[0])
            if change is not None:
                with self._database.writing() as connection:
                    then = change(connection)
                then()
            elif self.problem is not None:
                self._write(lambda _: None)  # whether the database is back
        except StoreError as error:
            with self._lock:
                self._note(error)
        except Exception:  # the edge of the thread: it must live on, and nothing above could report it
            logger.exception("Something could not be kept")
        else:
            with self._lock:
                if self.problem is not None and not self._waiting:
                    self.problem = None
                    logger.info("Conversations are kept again.")

    def _write(self, change: Change) -> None:
        with self._database.writing() as connection:
            change(connection)

    def _write_or_leave_out(self, waiting: _Waiting) -> None:
        """Only a database that is away holds up the others: what else goes wrong would go wrong again."""
        try:
            self._write(waiting.change)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked for it is told, or the log
            waiting.error = error
        with self._lock:
            self._waiting.popleft()  # only now: what comes meanwhile must wait behind it
            waiting.done.set()
        if waiting.is_late and (left_out := waiting.error) is not None:
            is_fault = not isinstance(left_out, NotFoundError | ConflictError)
            logger.error("A change was left out: %s", left_out, exc_info=left_out if is_fault else None)

    def _is_behind(self) -> bool:
        return self.problem is not None or any(one.is_late for one in self._waiting)

    def _note(self, error: StoreError) -> None:
        """Nobody waits any longer: the lock is held."""
        if self.problem is None:
            logger.error("Conversations cannot be kept at present; it is tried again. %s", error)
        self.problem = str(error)
        for one in self._waiting:
            one.is_late = True
            one.done.set()
