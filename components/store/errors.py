"""What can go wrong with the store, in words for people."""


class StoreError(Exception):
    """The database cannot be read or written at present; it says why and what to do. Trying again may help.

    Attributes:
        reason: the same without which database it is.
    """

    def __init__(self, reason: str, database: str | None = None) -> None:
        super().__init__(f"The database {database} cannot be used: {reason}" if database else reason)
        self.reason = reason


class LaterVersionError(StoreError):
    """The database was made by a later version of this application."""


class NotFoundError(Exception):
    """There is no such thing, or it is somebody else's, which nobody needs to know."""


class FullError(Exception):
    """A reader keeps as much as one may."""


class ConflictError(Exception):
    """The database does not take what was to be written, however often it is tried.

    It contradicts what is there (it follows a message that is gone, for instance), or is no value of its column.
    """
