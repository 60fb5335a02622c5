"""Deletes all that a reader has, for good: at once, without the bin."""

from components.chats.asker import Asker
from components.chats.replies import Replies
from components.chats.sharing import SETTLE_SECONDS, NotKeptError
from components.store.conversations import Conversations
from components.store.postgres import PATIENT
from components.store.presets import Presets
from components.store.sheets import Sheets


def delete_everything(asker: Asker, replies: Replies) -> int:
    """Stop what is written for this reader, and delete all that they have; gives the number of conversations.

    That is their conversations, what they share of them, their presets, and the sheets of the lab: one that is being
    written notices by itself that it is gone.

    Raises:
        NotKeptError: something waits to be kept, and would come back by that. Nothing was deleted.
        StoreError: the store cannot be written at present. Nothing was deleted.
    """
    if not replies.keeper.settle(SETTLE_SECONDS):
        raise NotKeptError
    with replies.database.writing(patience=PATIENT) as connection:
        conversations = Conversations(connection, asker.reader)
        ids = conversations.ids()
        count = conversations.delete_everything()
        Sheets(connection, asker.reader).delete_everything()
        Presets(connection, asker.reader).delete_everything()
    for conversation in ids:
        replies.cancel_all(conversation)  # what it still writes finds no conversation, and is kept nowhere
    replies.clear_deleted()
    return count
