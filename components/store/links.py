"""What links to shared things have in common, whatever they lead to: they expire, and their readers withdraw them."""

import secrets
import time
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, or_

from components.store.errors import NotFoundError
from components.store.schema import shares, sheet_shares

LINKS = (shares, sheet_shares)


def new_share_id() -> str:
    """An id that nobody can guess: whoever has it may read."""
    return secrets.token_urlsafe(16)


def unexpired(links: Table) -> ColumnElement[bool]:
    """Which of them have not gone by themselves by now."""
    expires: ColumnElement[Any] = links.c.expires
    return or_(expires.is_(None), expires > time.time())


def withdraw(connection: Connection, links: Table, reader: str, share: str) -> None:
    """Share something no longer.

    Raises:
        NotFoundError: there is no such link, or it is somebody else's.
    """
    own = delete(links).where(links.c.id == share, links.c.reader == reader)
    if not connection.execute(own).rowcount:
        raise NotFoundError(share)


def purge_expired(connection: Connection, now: float) -> int:
    """Delete the links of all readers that have expired; gives their number."""
    return sum(connection.execute(delete(links).where(links.c.expires <= now)).rowcount for links in LINKS)
