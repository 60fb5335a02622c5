"""Sheets that readers share: for whoever has the address, who may vote without seeing what is what."""

import hashlib
import random
import time
from collections.abc import Mapping, Sequence

from components.chats.sharing import EXPIRY_SECONDS, MOST_SHARES, Expiry, TooManySharesError
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.links import new_share_id
from components.store.sheet_shares import SheetShare, SheetShares, shared_sheet, vote, vote_of, votes_for
from components.store.sheets import Sheet

MOST_VOTES = 10_000
"""Of one sheet: who has its link can be as many browsers as they like, and nobody fills the disk."""


class TooManyVotesError(Exception):
    """A sheet has as many votes as it may."""


def share_sheet(database: Database, reader: str, sheet: str, expiry: Expiry) -> SheetShare:
    """Make a link to one's own sheet.

    Raises:
        NotFoundError: there is no such sheet, or it is somebody else's.
        TooManySharesError: others must be withdrawn first.
        StoreError: the store cannot be written at present.
    """
    seconds = EXPIRY_SECONDS[expiry]
    made = SheetShare(new_share_id(), sheet, expires=None if seconds is None else time.time() + seconds)
    with database.writing() as connection:
        shares = SheetShares(connection, reader)
        if len(shares.list()) >= MOST_SHARES:
            raise TooManySharesError
        shares.add(made)
    return made


def shuffled(sheet: Sheet, voter: str) -> list[int]:
    """The numbers of the cells that have something to read, in an order that is each voter's own."""
    cells = _readable(sheet)
    random.Random(f"{sheet.id}/{voter}").shuffle(cells)
    return cells


def ballot(sheet: Sheet, number: int) -> str:
    """What a vote for a cell says: the same for every voter, and nothing of the sheet's own order.

    A browser that opens two tabs at once may show them in two orders, and is one voter when it votes. No voter learns
    the sheet's own id.
    """
    return hashlib.sha256(f"{sheet.id}/{number}".encode()).hexdigest()[:16]


def _readable(sheet: Sheet) -> list[int]:
    return [number for number, cell in enumerate(sheet.cells) if any(sample.text for sample in cell.samples)]


def read_shared(database: Database, share: str, voter: str) -> tuple[SheetShare, Sheet, int | None, Mapping[int, int]]:
    """What anybody shared under this id; for which cell this voter voted, and how many voted for each.

    Raises:
        NotFoundError: there is none, or it has ended.
        StoreError: the store cannot be read at present.
    """
    with database.reading() as connection:
        link, sheet = shared_sheet(connection, share)
        return link, sheet, vote_of(connection, sheet.id, voter), votes_for(connection, sheet.id)


def vote_on(database: Database, share: str, voter: str, voted: str) -> None:
    """A browser's vote. Only its first one counts.

    Args:
        database: where it is kept.
        share: the link's id.
        voter: whose vote it is.
        voted: the ``ballot`` of a cell that has something to read.

    Raises:
        NotFoundError: there is no such link or cell.
        TooManyVotesError: the sheet takes no more.
        StoreError: the store cannot be written at present.
    """
    with database.writing() as connection:
        _, sheet = shared_sheet(connection, share)
        number = next((number for number in _readable(sheet) if ballot(sheet, number) == voted), None)
        if number is None:
            raise NotFoundError(share)
        if sum(votes_for(connection, sheet.id).values()) >= MOST_VOTES and vote_of(connection, sheet.id, voter) is None:
            raise TooManyVotesError
        vote(connection, sheet.id, voter, number)


def links_of(database: Database, reader: str) -> Sequence[tuple[SheetShare, str]]:
    """What a reader shares at present, each with the sheet's question.

    Raises:
        StoreError: the store cannot be read at present.
    """
    with database.reading() as connection:
        return SheetShares(connection, reader).list()


def withdraw_sheet(database: Database, reader: str, share: str) -> None:
    """Share it no longer.

    Raises:
        NotFoundError: there is no such link, or it is somebody else's.
        StoreError: the store cannot be written at present.
    """
    with database.writing() as connection:
        SheetShares(connection, reader).withdraw(share)


def votes_on(database: Database, reader: str, sheet: str) -> Mapping[int, int]:
    """How many voted for each cell of one's own sheet.

    Raises:
        NotFoundError: there is no such sheet, or it is somebody else's.
        StoreError: the store cannot be read at present.
    """
    with database.reading() as connection:
        return SheetShares(connection, reader).votes(sheet)
