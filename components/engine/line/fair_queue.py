"""A line in which the visitors take turns: one person's ten requests do not starve another's one."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from components.engine.errors import QueueFullError
from components.engine.watching.activity import Origin

Item = TypeVar("Item")

RETRY_SECONDS = 10.0
"""When it is worth asking again after the line was full."""


class FairQueue(Generic[Item]):
    """Serves visitors round-robin, and each visitor's items in their order. Not for several threads at once."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def push(self, visitor: str, item: Item) -> None:
        """Put an item at the end of its visitor's line."""
        self._lines.setdefault(visitor, deque()).append(item)

    def pop(self) -> Item:
        """Take the next item; its visitor goes to the end of the round.

        Raises:
            KeyError: nothing waits.
        """
        visitor, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[visitor] = line
        return item

    def remove(self, item: Item) -> None:
        """Take an item out of the line, wherever it stands."""
        for visitor, line in self._lines.items():
            if item in line:
                line.remove(item)
                if not line:
                    del self._lines[visitor]
                return

    def __iter__(self) -> Iterator[Item]:
        """All items in the order in which they would be served if nothing else came."""
        lines = deque(list(line) for line in self._lines.values())
        while lines:
            line = lines.popleft()
            yield line.pop(0)
            if line:
                lines.append(line)


def check_line(origin: Origin, waiting: int, free_places: int, longest: int) -> None:
    """See whether one more may wait when ``longest`` may.

    People on the page always may: each waits for one reply, and sees the place in line.

    Raises:
        QueueFullError: the line is full.
    """
    if origin != "page" and waiting >= longest + max(0, free_places):
        raise QueueFullError(f"{longest} replies are waiting already. Try again in a minute.", RETRY_SECONDS)
