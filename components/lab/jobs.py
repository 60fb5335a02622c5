"""Sheets that are being written: a sheet belongs to the server, and goes on when its tab is closed."""

import logging
import threading
import time
from dataclasses import replace
from functools import lru_cache

from components.chats.asker import Asker
from components.engine.interface import Engine
from components.lab.writing import Writing
from components.settings import get_settings
from components.store.database import Database, get_database
from components.store.errors import ConflictError, NotFoundError, StoreError
from components.store.sheets import Sheet, SheetEntry, Sheets

logger = logging.getLogger(__name__)

MOST_SHEETS = 100
"""Of one reader."""

KEEP_SECONDS = 1.0
"""A growing sheet is kept this often."""

CUT_SECONDS = 30.0
"""A sheet without an end that was not kept for so long is written by nobody: its server ended."""


class TooManySheetsError(Exception):
    """A reader keeps as many sheets as they may."""


class AlreadyWritingError(Exception):
    """A reader has one sheet written at a time."""


class Jobs:
    """The sheets that this process writes, or has yet to keep. All methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._running: dict[str, Writing] = {}
        self._lock = threading.Lock()

    def start(self, engine: Engine, asker: Asker, sheet: Sheet) -> None:
        """Keep ``sheet`` and have its samples written. Returns at once.

        Raises:
            AlreadyWritingError: another one of this reader's is being written here.
            TooManySheetsError: others must be deleted first.
            StoreError: it cannot be kept at present.
        """
        with self._lock:
            if any(one.sheet.reader == sheet.reader and not one.has_ended for one in self._running.values()):
                raise AlreadyWritingError
            with self.database.writing() as connection:
                sheets = Sheets(connection, sheet.reader)
                if sheets.count() >= MOST_SHEETS:
                    raise TooManySheetsError
                sheets.add(sheet)
            writing = Writing(engine, asker, sheet, get_settings().max_batch)
            self._running[sheet.id] = writing
        writing.start()
        threading.Thread(target=self._keep, args=(writing,), name="sheet", daemon=True).start()

    def find(self, sheet: str) -> Writing | None:
        """What writes this sheet here, or wrote it where its end is not kept yet."""
        with self._lock:
            return self._running.get(sheet)

    def get(self, reader: str, sheet: str) -> Sheet:
        """One's own sheet as it is now.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
            StoreError: it cannot be read at present.
        """
        if (writing := self.find(sheet)) is not None and writing.sheet.reader == reader:
            return writing.now()
        with self.database.reading() as connection:
            return as_told(Sheets(connection, reader).get(sheet))

    def list(self, reader: str) -> list[SheetEntry]:
        """One's own sheets, the newest first.

        Raises:
            StoreError: they cannot be read at present.
        """
        with self.database.reading() as connection:
            return list(Sheets(connection, reader).list(MOST_SHEETS))

    def stop(self, reader: str, sheet: str) -> None:
        """Stop a sheet, wherever it is written. What was written stays.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
            StoreError: another process writes it, and the store cannot be written at present.
        """
        if (writing := self.find(sheet)) is not None and writing.sheet.reader == reader:
            writing.stop()
            return
        with self.database.writing() as connection:
            Sheets(connection, reader).want_stopped(sheet)

    def delete(self, reader: str, sheet: str) -> None:
        """Delete a sheet for good; what is written for it stops.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
            StoreError: the store cannot be written at present.
        """
        with self.database.writing() as connection:
            Sheets(connection, reader).delete(sheet)
        if (writing := self.find(sheet)) is not None:
            writing.stop()

    def close(self) -> None:
        """Stop everything and keep what there is."""
        with self._lock:
            running = list(self._running.values())
        for writing in running:
            writing.stop()
        deadline = time.monotonic() + 5 * KEEP_SECONDS
        while any(self.find(one.sheet.id) for one in running) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _keep(self, writing: Writing) -> None:
        """Keep a sheet as it grows, and its end once the store takes that."""
        kept_end = False
        while not kept_end:
            writing.wait_for_end(KEEP_SECONDS)
            now = writing.now()
            try:
                with self.database.writing() as connection:
                    is_stop_wanted = Sheets(connection, now.reader).keep(now.id, now.cells, now.end, time.time())
            except NotFoundError:
                writing.stop()  # deleted meanwhile, perhaps with everything of this reader's
                break
            except ConflictError as error:
                logger.error("A sheet cannot be kept, because the database refuses it: %s", error)
                writing.problem = str(error)
                kept_end = now.end is not None
                continue
            except StoreError as error:
                writing.problem = str(error)
                time.sleep(KEEP_SECONDS if now.end is not None else 0)
                continue
            if is_stop_wanted:
                writing.stop()
            writing.problem = None
            kept_end = now.end is not None
        with self._lock:
            del self._running[writing.sheet.id]


def as_told(sheet: Sheet) -> Sheet:
    """A sheet as it was kept; one that nobody writes on is cut."""
    is_cut = sheet.end is None and time.time() - sheet.changed > CUT_SECONDS
    return replace(sheet, end="cut") if is_cut else sheet


@lru_cache(maxsize=1)
def get_jobs() -> Jobs:
    """The jobs of this process."""
    return Jobs(get_database())
