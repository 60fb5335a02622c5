"""Links to sheets: how many there may be, what may be voted for, and what a file says of a sheet."""

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from components.chats.replies import Replies
from components.chats.sharing import TooManySharesError
from components.lab import sharing
from components.lab.exporting import all_sheets
from components.lab.jobs import Jobs
from components.lab.sharing import TooManyVotesError, ballot, read_shared, share_sheet, vote_on, votes_on
from components.store.database import Database
from components.store.errors import NotFoundError
from components.store.links import new_share_id
from components.store.schema import sheet_shares
from components.store.sheet_shares import SheetShare, SheetShares
from components.store.sheets import Cell, Sample, Sheet, Sheets, new_sheet_id
from tests.chats.helpers import wait_until

READER = "browser:somebody"


def kept(database: Database, reader: str = READER) -> Sheet:
    cells = [Cell({"temperature": 0.3}, [Sample(text, "stop")]) for text in ("first", "", "third")]
    sheet = Sheet(new_sheet_id(), reader, "compare", "Why?", cells, end="done")
    with database.writing() as connection:
        Sheets(connection, reader).add(sheet)
    return sheet


def test_only_what_can_be_read_can_be_voted_for(jobs: Jobs) -> None:
    sheet = kept(jobs.database)
    link = share_sheet(jobs.database, READER, sheet.id, "day")
    for voted in (ballot(sheet, 1), ballot(sheet, 3), ballot(kept(jobs.database), 0), "", "0"):
        with pytest.raises(NotFoundError):
            vote_on(jobs.database, link.id, "voter", voted)
    assert votes_on(jobs.database, READER, sheet.id) == {}
    assert sorted(sharing.shuffled(sheet, "voter")) == [0, 2]
    for voter in ("voter", "another"):
        vote_on(jobs.database, link.id, voter, ballot(sheet, 2))
    vote_on(jobs.database, link.id, "voter", ballot(sheet, 0))  # the first one counts
    _, _, own, votes = read_shared(jobs.database, link.id, "voter")
    assert (own, votes) == (2, {2: 2})


def test_a_sheet_has_so_many_votes_at_the_most(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_VOTES", 2)
    sheet, other = kept(jobs.database), kept(jobs.database)
    link = share_sheet(jobs.database, READER, sheet.id, "day")
    for voter in ("one", "two", "one"):
        vote_on(jobs.database, link.id, voter, ballot(sheet, 2))  # who voted already is not refused
    with pytest.raises(TooManyVotesError):
        vote_on(jobs.database, link.id, "three", ballot(sheet, 2))
    assert votes_on(jobs.database, READER, sheet.id) == {2: 2}
    vote_on(jobs.database, share_sheet(jobs.database, READER, other.id, "day").id, "three", ballot(other, 0))


def test_a_reader_has_so_many_links_at_the_most(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_SHARES", 1)
    sheet = kept(jobs.database)
    link = share_sheet(jobs.database, READER, sheet.id, "never")
    with pytest.raises(TooManySharesError):
        share_sheet(jobs.database, READER, sheet.id, "never")
    sharing.withdraw_sheet(jobs.database, READER, link.id)
    share_sheet(jobs.database, READER, sheet.id, "never")


def test_links_that_have_expired_are_deleted_when_a_server_starts(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'chats.db'}")
    sheet = kept(database)
    with database.writing() as connection:
        SheetShares(connection, READER).add(SheetShare(new_share_id(), sheet.id, expires=time.time() - 1))
        SheetShares(connection, READER).add(SheetShare(new_share_id(), sheet.id))

    def links() -> int:
        with database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(sheet_shares)) or 0)

    assert links() == 2
    replies = Replies(database)
    wait_until(lambda: links() == 1)
    replies.keeper.close()
    database.close()


def test_a_file_of_sheets_does_not_say_whose_they_are(jobs: Jobs) -> None:
    sheet = kept(jobs.database)
    kept(jobs.database, "browser:two")
    written = all_sheets(jobs.database, READER)
    assert READER.partition(":")[2] not in written
    (entry,) = json.loads(written)["sheets"]
    assert (entry["id"], entry["question"]) == (sheet.id, sheet.question)
    assert [cell["samples"][0]["text"] for cell in entry["cells"]] == ["first", "", "third"]
    assert not {"reader", "stop_wanted"} & entry.keys()
