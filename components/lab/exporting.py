"""Sheets as a JSON file: to keep them, or to work out other figures from them."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from components.store.database import Database
from components.store.sheets import Sheet, Sheets


def json_of_sheets(sheets: Sequence[Sheet]) -> str:
    """What was asked and written, and nothing of whose it is."""
    entries = [asdict(sheet) for sheet in sheets]
    for entry in entries:
        del entry["reader"], entry["stop_wanted"]
    return json.dumps({"sheets": entries}, ensure_ascii=False, indent=1)


def all_sheets(database: Database, reader: str) -> str:
    """All that a reader has, as one file.

    Raises:
        StoreError: the database cannot be read at present.
    """
    with database.reading() as connection:
        sheets = Sheets(connection, reader)
        return json_of_sheets([sheets.get(sheet) for sheet in sheets.ids()])
