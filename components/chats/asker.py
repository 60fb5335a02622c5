"""Who asks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Asker:
    """Who asks, as the store and the engine know them.

    Attributes:
        reader: whose conversations these are.
        visitor: whose turn it is, and whose share is used up.
        limited: whether their share is limited.
        address: where they come from.
    """

    reader: str
    visitor: str = ""
    limited: bool = False
    address: str = ""
