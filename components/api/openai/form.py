"""What tells a chat completion from a completion of a text, when the replies are there or on their way."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from components.api.openai.answers import FinishReason
from components.api.reading import Reply
from components.engine.errors import EngineError
from components.engine.events import Delta, Finished

Part = Mapping[str, object]
"""One of the ``choices`` of an answer or of a chunk."""


class Form(ABC):
    """Puts replies into OpenAI's form. ``index`` counts the choices."""

    id_prefix: ClassVar[str]
    answer_object: ClassVar[str]
    chunk_object: ClassVar[str]

    @abstractmethod
    def whole(self, index: int, reply: Reply) -> Part:
        """The choice that a reply is."""

    @abstractmethod
    def opening(self, index: int) -> Part | None:
        """What a stream begins with."""

    @abstractmethod
    def piece(self, index: int, delta: Delta) -> Part:
        """What a piece of a reply adds. Called in the order of the pieces."""

    @abstractmethod
    def ending(self, index: int, finished: Finished) -> Part:
        """What a stream ends with."""


def finish_reason(finished: Finished) -> FinishReason:
    """OpenAI's word for why a reply ended: it has none for a circle or the longest time, and strict clients want one.

    Raises:
        EngineError: the reply was cancelled on the server while its reader still wanted it.
    """
    match finished.reason:
        case "stop":
            return "stop"
        case "length" | "loop" | "time":
            return "length"
    raise EngineError("The reply was stopped on the server before its end. Ask again.")
