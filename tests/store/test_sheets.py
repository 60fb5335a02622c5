"""Sheets, their links and their votes, over both databases."""

import time
from dataclasses import replace

import pytest

from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.links import new_share_id, purge_expired
from components.store.sheet_shares import (
    SheetShare,
    SheetShares,
    shared_sheet,
    vote,
    vote_of,
    votes_for,
)
from components.store.sheets import Axis, Cell, Sample, Sheet, Sheets, new_sheet_id
from tests.store.helpers import READER, STRANGER

CELLS = [Cell({"temperature": 0.3}, [Sample("床前 😀", "stop", "", 3, -1.5, 3, 1.0, 0.5), Sample()])]


def kept(database: Database, reader: str = READER) -> Sheet:
    sheet = Sheet(new_sheet_id(), reader, "grid", "Why?", CELLS, "system", "model", [Axis("temperature", [0.3])])
    with database.writing() as connection:
        Sheets(connection, reader).add(sheet)
    return sheet


def test_a_sheet_comes_back_as_it_was_and_as_it_grew(database: Database) -> None:
    sheet = kept(database)
    grown = [replace(CELLS[0], samples=[CELLS[0].samples[0], Sample("two", "length", tokens=1)])]
    with database.writing() as connection:
        sheets = Sheets(connection, READER)
        assert sheets.get(sheet.id) == sheet
        assert sheets.keep(sheet.id, grown, "done", 5.0) is False
        assert sheets.get(sheet.id) == replace(sheet, cells=grown, end="done", changed=5.0)
        sheets.want_stopped(sheet.id)
        assert sheets.keep(sheet.id, grown, None, 6.0) is True


def test_nobody_sees_or_changes_what_is_somebody_elses(database: Database) -> None:
    sheet = kept(database)
    share = SheetShare(new_share_id(), sheet.id)
    with database.writing() as connection:
        SheetShares(connection, READER).add(share)
    with database.writing() as connection:
        strange, links = Sheets(connection, STRANGER), SheetShares(connection, STRANGER)
        assert (strange.list(9), strange.ids(), strange.count(), strange.delete_everything(), links.list()) == (
            [],
            [],
            0,
            0,
            [],
        )
        for use in (strange.get, strange.delete, strange.want_stopped, links.votes):
            with pytest.raises(NotFoundError):
                use(sheet.id)
        with pytest.raises(NotFoundError):
            strange.keep(sheet.id, [], "done", 1.0)
        with pytest.raises(NotFoundError):
            links.add(SheetShare(new_share_id(), sheet.id))
        with pytest.raises(NotFoundError):
            links.withdraw(share.id)
        assert Sheets(connection, READER).get(sheet.id) == sheet


def test_the_newest_comes_first(database: Database) -> None:
    first, second = kept(database), kept(database)
    with database.reading() as connection:
        sheets = Sheets(connection, READER)
        assert [one.id for one in sheets.list(5)] == list(sheets.ids()) == [second.id, first.id]
        assert [one.id for one in sheets.list(1)] == [second.id]
        assert sheets.count() == 2


def test_a_link_is_read_by_anybody_until_it_is_withdrawn_or_ends(database: Database) -> None:
    sheet = kept(database)
    now = time.time()
    never, soon, late = (
        SheetShare(new_share_id(), sheet.id, now + n, at) for n, at in enumerate((None, now + 99, now - 1))
    )
    with database.writing() as connection:
        links = SheetShares(connection, READER)
        for one in (never, soon, late):
            links.add(one)
        assert links.list() == [(soon, "Why?"), (never, "Why?")]
        assert shared_sheet(connection, never.id) == (never, sheet)
        links.withdraw(never.id)
        for gone in (never, late):
            with pytest.raises(NotFoundError):
                shared_sheet(connection, gone.id)
        assert purge_expired(connection, time.time()) == 1


def test_a_browser_has_one_vote(database: Database) -> None:
    sheet = kept(database)
    with database.writing() as connection:
        assert vote(connection, sheet.id, "a", 1)
        assert not vote(connection, sheet.id, "a", 0)
        assert vote(connection, sheet.id, "b", 1)
        assert (vote_of(connection, sheet.id, "a"), vote_of(connection, sheet.id, "c")) == (1, None)
        assert votes_for(connection, sheet.id) == SheetShares(connection, READER).votes(sheet.id) == {1: 2}


def test_links_and_votes_go_with_their_sheet(database: Database) -> None:
    sheet, share = kept(database), new_share_id()
    with database.writing() as connection:
        SheetShares(connection, READER).add(SheetShare(share, sheet.id))
        vote(connection, sheet.id, "a", 0)
        Sheets(connection, READER).delete(sheet.id)
        assert votes_for(connection, sheet.id) == {}
        with pytest.raises(NotFoundError):
            shared_sheet(connection, share)
