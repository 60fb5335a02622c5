"""Sheets of the lab: one question, answered with several settings. What one reader has."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, select, update

from components.store.errors import NotFoundError
from components.store.schema import sheets as table

Kind = Literal["compare", "grid"]


def new_sheet_id() -> str:
    """An id that nobody can guess: it stands in addresses."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True)
class Sample:
    """One reply of a cell.

    Attributes:
        end: how it ended; None while it waits or is written.
        error: why it failed, for people.
        tokens: how many it has.
        logprob: the sum of its tokens' log probabilities, by the model before any filter.
        scored: of how many tokens that is the sum; 0 where the engine tells none.
        seconds: from asking to its end.
        first_token_seconds: from asking to its first token.
    """

    text: str = ""
    end: str | None = None
    error: str = ""
    tokens: int = 0
    logprob: float = 0.0
    scored: int = 0
    seconds: float | None = None
    first_token_seconds: float | None = None


@dataclass(frozen=True)
class Cell:
    """What was written with one setting. ``sampling`` has every parameter, as JSON."""

    sampling: dict[str, Any]
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Axis:
    """A parameter that varies in a grid, and its values in order."""

    parameter: str
    values: Sequence[float]


@dataclass(frozen=True)
class Sheet:
    """One question and the replies to it.

    Attributes:
        reader: whose it is.
        axes: across and down, of a grid; none otherwise.
        cells: of a grid row by row.
        end: "done", "cancelled" or "cut"; None while it is written.
        stop_wanted: whether somebody wants it stopped.
        changed: when it was kept last, in seconds since 1970.
    """

    id: str
    reader: str
    kind: Kind
    question: str
    cells: Sequence[Cell]
    system: str = ""
    model: str = ""
    axes: Sequence[Axis] = ()
    end: str | None = None
    stop_wanted: bool = False
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)


@dataclass(frozen=True)
class SheetEntry:
    """A line in the list of one's sheets."""

    id: str
    kind: Kind
    question: str
    end: str | None
    created: float
    changed: float


class Sheets:
    """What one reader has. Nothing here gives or changes what is another reader's."""

    def __init__(self, connection: Connection, reader: str) -> None:
        self._connection = connection
        self._reader = reader

    def add(self, sheet: Sheet) -> None:
        """Keep a new one."""
        self._connection.execute(insert(table).values(asdict(sheet) | {"reader": self._reader}))

    def get(self, sheet: str) -> Sheet:
        """One with all its cells.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        return _found(self._connection, select(table).where(table.c.id == sheet, self._is_own()), sheet)

    def list(self, limit: int) -> Sequence[SheetEntry]:
        """The newest first, without their cells."""
        columns = (table.c.id, table.c.kind, table.c.question, table.c.end, table.c.created, table.c.changed)
        query = select(*columns).where(self._is_own()).order_by(table.c.created.desc(), table.c.id).limit(limit)
        return [SheetEntry(**row._mapping) for row in self._connection.execute(query)]

    def ids(self) -> Sequence[str]:
        """The ids of all, the newest first."""
        query = select(table.c.id).where(self._is_own()).order_by(table.c.created.desc(), table.c.id)
        return list(self._connection.scalars(query))

    def count(self) -> int:
        """How many there are."""
        query = select(func.count()).select_from(table).where(self._is_own())
        return int(self._connection.execute(query).scalar_one())

    def keep(self, sheet: str, cells: Sequence[Cell], end: str | None, now: float) -> bool:
        """Keep what there is by now; gives whether somebody wants it stopped.

        Raises:
            NotFoundError: it was deleted, or is somebody else's.
        """
        self._change(sheet, cells=[asdict(cell) for cell in cells], end=end, changed=now)
        wanted = select(table.c.stop_wanted).where(table.c.id == sheet)
        return bool(self._connection.execute(wanted).scalar_one())

    def want_stopped(self, sheet: str) -> None:
        """Leave word for the process that writes it.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        self._change(sheet, stop_wanted=True)

    def delete(self, sheet: str) -> None:
        """For good, with its links and votes.

        Raises:
            NotFoundError: there is none with this id, or it is somebody else's.
        """
        if not self._connection.execute(delete(table).where(table.c.id == sheet, self._is_own())).rowcount:
            raise NotFoundError(sheet)

    def delete_everything(self) -> int:
        """All that this reader has, for good; gives their number."""
        return self._connection.execute(delete(table).where(self._is_own())).rowcount

    def _change(self, sheet: str, **values: Any) -> None:
        done = self._connection.execute(update(table).where(table.c.id == sheet, self._is_own()).values(**values))
        if not done.rowcount:
            raise NotFoundError(sheet)

    def _is_own(self) -> ColumnElement[bool]:
        return table.c.reader == self._reader


def _found(connection: Connection, query: Select[Any], sheet: str) -> Sheet:
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(sheet)
    return sheet_of(row)


def sheet_of(row: Row[Any]) -> Sheet:
    """A row as a sheet."""
    content = dict(row._mapping)
    content["axes"] = [Axis(**axis) for axis in content["axes"]]
    content["cells"] = [
        Cell(cell["sampling"], [_sample(sample) for sample in cell["samples"]]) for cell in content["cells"]
    ]
    return Sheet(**content)


def _sample(kept: dict[str, Any]) -> Sample:
    """Infinities are kept as null; such a sum says as little as none."""
    return Sample(**kept | ({"logprob": 0.0, "scored": 0} if kept["logprob"] is None else {}))
