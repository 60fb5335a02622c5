"""Links to sheets of the lab, which anybody may read who has the address, and the votes of those who did."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from components.store.errors import NotFoundError
from components.store.links import unexpired, withdraw
from components.store.schema import insert_new, sheet_shares, sheet_votes, sheets
from components.store.sheets import Sheet, Sheets, sheet_of


@dataclass(frozen=True)
class SheetShare:
    """A link to a sheet; ``expires`` is when it goes by itself, in seconds since 1970, None: never."""

    id: str
    sheet: str
    created: float = field(default_factory=time.time)
    expires: float | None = None


class SheetShares:
    """The links of one reader."""

    def __init__(self, connection: Connection, reader: str) -> None:
        self._connection = connection
        self._reader = reader

    def add(self, share: SheetShare) -> None:
        """Share one's own sheet.

        Raises:
            NotFoundError: there is no such sheet, or it is somebody else's.
        """
        Sheets(self._connection, self._reader).get(share.sheet)
        self._connection.execute(insert(sheet_shares).values(asdict(share) | {"reader": self._reader}))

    def list(self) -> Sequence[tuple[SheetShare, str]]:
        """What this reader shares at present, each with the sheet's question, the last one first."""
        query = _present(sheet_shares, sheets.c.question).where(sheet_shares.c.reader == self._reader)
        rows = self._connection.execute(query.order_by(sheet_shares.c.created.desc(), sheet_shares.c.id))
        return [(SheetShare(row.id, row.sheet, row.created, row.expires), row.question) for row in rows]

    def withdraw(self, share: str) -> None:
        """Share it no longer.

        Raises:
            NotFoundError: there is no such link, or it is somebody else's.
        """
        withdraw(self._connection, sheet_shares, self._reader, share)

    def votes(self, sheet: str) -> Mapping[int, int]:
        """How many browsers voted for each cell of one's own sheet.

        Raises:
            NotFoundError: there is no such sheet, or it is somebody else's.
        """
        Sheets(self._connection, self._reader).get(sheet)
        return votes_for(self._connection, sheet)


def shared_sheet(connection: Connection, share: str) -> tuple[SheetShare, Sheet]:
    """The sheet that anybody shared under this id, with the link.

    Raises:
        NotFoundError: there is none, or it has ended.
    """
    link = connection.execute(_present(sheet_shares).where(sheet_shares.c.id == share)).one_or_none()
    if link is None:
        raise NotFoundError(share)
    row = connection.execute(select(sheets).where(sheets.c.id == link.sheet)).one()
    return SheetShare(link.id, link.sheet, link.created, link.expires), sheet_of(row)


def vote(connection: Connection, sheet: str, voter: str, cell: int) -> bool:
    """One browser's vote; gives whether it counts: the first does, for good."""
    values = {"sheet": sheet, "voter": voter, "cell": cell, "created": time.time()}
    return insert_new(connection, sheet_votes, values)


def vote_of(connection: Connection, sheet: str, voter: str) -> int | None:
    """For which cell this browser voted; None while it has not."""
    query = select(sheet_votes.c.cell).where(sheet_votes.c.sheet == sheet, sheet_votes.c.voter == voter)
    return connection.execute(query).scalar_one_or_none()


def votes_for(connection: Connection, sheet: str) -> Mapping[int, int]:
    """How many browsers voted for each cell."""
    query = select(sheet_votes.c.cell, func.count()).where(sheet_votes.c.sheet == sheet)
    return {row[0]: row[1] for row in connection.execute(query.group_by(sheet_votes.c.cell))}


def _present(*columns: Any) -> Select[Any]:
    return select(*columns).join(sheets, sheets.c.id == sheet_shares.c.sheet).where(unexpired(sheet_shares))
