"""What can go wrong while generating. Every message says what the person at the other end can do."""


class EngineError(Exception):
    """The reply could not be written."""


class PromptError(EngineError):
    """The request itself cannot be answered, now or later."""


class UnsupportedError(PromptError):
    """This engine, or the model it runs, cannot do what was asked for."""


class ContextFullError(PromptError):
    """The context has no room to write the reply on."""


class EngineNotReadyError(EngineError):
    """The model is still loading, could not be loaded, or runs on a server that does not answer."""


class BusyError(EngineError):
    """Not now. ``retry_after`` is in how many seconds it is worth trying again."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFullError(BusyError):
    """Too many replies wait already."""


class LimitError(BusyError):
    """This visitor, or this key, has had its share."""


class SchemaError(PromptError):
    """The JSON schema that the reply should follow cannot be used."""
