"""How much one reader may keep: nobody fills the disk for the others."""

from sqlalchemy import Connection

from components.chats.asker import Asker
from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import FullError


def make_room(database: Database, asker: Asker, characters: int) -> None:
    """See that there is room for so many characters more. What was thrown away goes for good before that fails.

    The owner may fill what is the owner's.

    Raises:
        FullError: it would be more than one may keep.
        StoreError: the store cannot be used at present.
    """
    if not asker.limited:
        return
    with database.reading() as connection:
        if _has_room(connection, asker, characters):
            return
    with database.writing() as connection:
        Conversations(connection, asker.reader).empty_bin()
    with database.reading() as connection:
        check_room(connection, asker, characters)


def check_room(connection: Connection, asker: Asker, characters: int = 0) -> None:
    """The same within the transaction that writes, for what may be written in several tabs at once.

    Raises:
        FullError: it is, or would be, more than one may keep.
    """
    if asker.limited and not _has_room(connection, asker, characters):
        raise FullError


def _has_room(connection: Connection, asker: Asker, characters: int) -> bool:
    return Conversations(connection, asker.reader).characters() + characters <= get_settings().max_stored_chars
