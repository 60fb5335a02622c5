"""How much one reader may keep: nobody fills the disk for the others."""

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
    most = get_settings().max_stored_chars
    with database.reading() as connection:
        if Conversations(connection, asker.reader).characters() + characters <= most:
            return
    with database.writing() as connection:
        own = Conversations(connection, asker.reader)
        own.empty_bin()
        if own.characters() + characters > most:
            raise FullError
