"""How much one reader may keep: nobody fills the disk for the others."""

from components.settings import get_settings
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import FullError


def make_room(database: Database, reader: str, characters: int) -> None:
    """See that a reader may keep so many characters more. What they have thrown away goes for good before that fails.

    Raises:
        FullError: it would be more than one may keep.
        StoreError: the store cannot be used at present.
    """
    most = get_settings().max_stored_chars
    with database.reading() as connection:
        if Conversations(connection, reader).characters() + characters <= most:
            return
    with database.writing() as connection:
        own = Conversations(connection, reader)
        own.empty_bin()
        if own.characters() + characters > most:
            raise FullError
