"""What can go wrong while generating. Every message says what the person at the other end can do."""


class EngineError(Exception):
    """The reply could not be written."""


class PromptError(EngineError):
    """The request itself cannot be answered, now or later."""


class QueueFullError(EngineError):
    """Too many replies wait already."""


class EngineNotReadyError(EngineError):
    """The model is still loading, or could not be loaded."""


class UnsupportedError(PromptError):
    """This engine, or the model it runs, cannot do what was asked for."""
