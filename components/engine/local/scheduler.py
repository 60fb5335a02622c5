"""Who is served: who begins when there is room, and whose prompt is read next. Knows no model and no memory."""

from collections import OrderedDict
from collections.abc import Iterator

from components.engine.line.fair_queue import FairQueue
from components.engine.local.block_pool import BLOCK
from components.engine.local.sequence import Sequence

REMEMBERED_VISITORS = 1000
"""Of so many it is known whose prompt was read last."""


class Scheduler:
    """The sequences of one engine. Not for several threads at once.

    Attributes:
        running: those with a place, in the order in which they began.
    """

    def __init__(self, max_batch: int) -> None:
        self.running: list[Sequence] = []
        self._max_batch = max_batch
        self._waiting: FairQueue[Sequence] = FairQueue()
        self._turn = 0
        self._visitors: OrderedDict[str, int] = OrderedDict()  # when a prompt of theirs was read last
        self._sequences: dict[Sequence, int] = {}  # the same for each prompt

    @property
    def waiting(self) -> list[Sequence]:
        """Those without a place, in the order in which they will begin."""
        return list(self._waiting)

    @property
    def waiting_count(self) -> int:
        """How many these are."""
        return len(self._waiting)

    @property
    def free_places(self) -> int:
        """How many more may run."""
        return self._max_batch - len(self.running)

    def __len__(self) -> int:
        """How many there are, running and waiting."""
        return len(self.running) + len(self._waiting)

    def __iter__(self) -> Iterator[Sequence]:
        """All of them."""
        return iter([*self.running, *self._waiting])

    def add(self, sequence: Sequence) -> None:
        """Put a sequence into the line, in which the visitors take turns."""
        self._waiting.push(sequence.request.visitor, sequence)

    def next_to_begin(self) -> Sequence | None:
        """Who is next, if there is a place. Nobody smaller overtakes who is next."""
        return next(iter(self._waiting), None) if self.free_places > 0 else None

    def begin_next(self) -> None:
        """Give a place to the one who is next."""
        self.running.append(self._waiting.pop())

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self._waiting.remove(sequence)
        self._sequences.pop(sequence, None)

    def next_prefill(self) -> Sequence | None:
        """Whose prompt gets the next piece read: the visitors take turns, and each one's prompts among them.

        So a short prompt waits for one piece of a long one, not for all of it. Whoever's turn it is while another one
        is about to read the same piece lets that one go on, and finds it read when it is.
        """
        prefilling = [sequence for sequence in self.running if sequence.prefilling]
        if not prefilling:
            return None
        chosen = min(prefilling, key=self._last_turns)
        self._turn += 1
        self._sequences[chosen] = self._turn
        visitor = chosen.request.visitor
        self._visitors[visitor] = self._turn
        self._visitors.move_to_end(visitor)
        if len(self._visitors) > REMEMBERED_VISITORS:
            self._visitors.popitem(last=False)
        return next(one for one in prefilling if one is chosen or _reads_for(one, chosen))

    def _last_turns(self, sequence: Sequence) -> tuple[int, int]:
        return self._visitors.get(sequence.request.visitor, 0), self._sequences.get(sequence, 0)


def _reads_for(one: Sequence, other: Sequence) -> bool:
    """Whether the piece that ``one`` reads next begins as what ``other`` would read, which can then use it."""
    if one.computed != other.computed:
        return False
    index = other.computed // BLOCK
    wanted = other.shareable_keys()[index : index + 1]
    written = (one.exact_keys if other.exact else one.keys).upto(one.tokens, one.piece_end)[index : index + 1]
    return bool(wanted) and wanted == written and (one.exact or not other.exact)
