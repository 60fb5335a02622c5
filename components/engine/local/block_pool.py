"""The memory for keys and values: fixed blocks from one pool, each counted by the sequences that use it.

A runner reserves the memory of all blocks once, at start, so what is counted here is what is held: nothing grows, and
nothing is copied to grow. A sequence gets the blocks for its prompt and its longest reply when it begins. A full block
has a key made of all tokens up to its end; whoever's prompt begins with the same tokens uses the same block, also while
the one who reads it still goes on. Blocks that nobody uses any more stay until somebody needs the room; those not used
for the longest time go first, the end of a conversation before its beginning.

Only numbers are kept here; the keys and values lie with the runner. After vLLM's PagedAttention (Kwon et al., 2023).
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

BLOCK = 16
"""Tokens of a block. Fewer would share more of a beginning; each block costs a step a little Python."""


def key_after(previous: bytes, tokens: Sequence[int]) -> bytes:
    """The key of a block with these tokens behind the block with the key ``previous``; 16 bytes."""
    return blake2b(previous + np.asarray(tokens, dtype=np.int64).tobytes(), digest_size=16).digest()


def blocks_for(tokens: int) -> int:
    """How many blocks hold so many tokens."""
    return -(-tokens // BLOCK)


class BlockTable:
    """Where the tokens of one sequence lie: its blocks in the order of the tokens.

    The pool has ``BLOCK`` slots in each block, one for each token; slot numbers run through all blocks.

    Attributes:
        own: the blocks that no other sequence wrote.
    """

    def __init__(self, shared: Sequence[int], own: Sequence[int]) -> None:
        """Blocks that others have written, and behind them its own."""
        self._blocks = [*shared, *own]
        self.own = set(own)
        self._runs = self._find_runs()

    @property
    def blocks(self) -> Sequence[int]:
        """Their numbers."""
        return self._blocks

    def spans(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The slots of the tokens from ``begin`` to ``end``, as ranges in the order of the tokens: mostly one."""
        found = []
        for position, slot, length in self._runs:
            first, last = max(begin, position), min(end, position + length)
            if first < last:
                found.append((slot + first - position, slot + last - position))
        return found

    def put(self, index: int, block: int) -> int:
        """Use another sequence's block in one place; returns the one that stood there."""
        before, self._blocks[index] = self._blocks[index], block
        self.own.discard(before)
        self._runs = self._find_runs()
        return before

    def _find_runs(self) -> list[tuple[int, int, int]]:
        """Blocks that lie side by side, as (first token, first slot, tokens)."""
        runs: list[tuple[int, int, int]] = []
        for index, block in enumerate(self._blocks):
            slot = block * BLOCK
            if runs and slot == runs[-1][1] + runs[-1][2]:
                runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + BLOCK)
            else:
                runs.append((index * BLOCK, slot, BLOCK))
        return runs


class BlockPool:
    """Hands out ``capacity`` blocks and takes them back.

    Only one thread may change it; its figures may be read by any.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._is_free = np.ones(capacity, dtype=bool)
        self._free = capacity
        self._idle: OrderedDict[int, None] = OrderedDict()  # used by nobody, with a key; the one used last stands last
        self._users = [0] * capacity
        self._by_key: dict[bytes, int] = {}
        self._keys: dict[int, list[bytes]] = {}

    @property
    def used(self) -> int:
        """Blocks that sequences have."""
        return self.capacity - self._free - len(self._idle)

    @property
    def idle(self) -> int:
        """Blocks that are kept for later."""
        return len(self._idle)

    def find(self, key: bytes) -> int | None:
        """The block with this key."""
        return self._by_key.get(key)

    def allocate(self, shared: Sequence[int], count: int) -> BlockTable | None:
        """Blocks for a sequence.

        Args:
            shared: with what it begins; others have written them, as ``find`` tells.
            count: how many more.

        Returns:
            None when there is no room now.
        """
        if count > self._free + len(self._idle) - sum(block in self._idle for block in shared):
            return None
        for block in shared:
            self._use(block)
        while self._free < count:
            self._forget(next(iter(self._idle)))
        own = self._pick(count, shared[-1] if shared else None)
        self._is_free[own] = False
        self._free -= count
        for block in own:
            self._users[block] = 1
        return BlockTable(shared, own)

    def share(self, table: BlockTable, index: int, block: int) -> None:
        """Let a sequence use a block that another one has written, instead of its own for the same tokens."""
        self._use(block)
        self._give_back(table.put(index, block))

    def note_full(self, block: int, key: bytes) -> None:
        """A block is full now, and can be found by its key. The first one with a key keeps it."""
        if self._by_key.setdefault(key, block) == block:
            self._keys.setdefault(block, []).append(key)

    def release(self, table: BlockTable, keep: bool = True) -> None:
        """A sequence has ended.

        Args:
            table: its blocks.
            keep: whether others may use what it wrote; not after a failure.
        """
        for block in reversed(table.blocks):
            if not keep and block in table.own:
                self._drop_keys(block)
            self._give_back(block)

    def _use(self, block: int) -> None:
        self._idle.pop(block, None)
        self._users[block] += 1

    def _give_back(self, block: int) -> None:
        self._users[block] -= 1
        if self._users[block] == 0:
            if block in self._keys:
                self._idle[block] = None
            else:
                self._set_free(block)

    def _forget(self, block: int) -> None:
        del self._idle[block]
        self._drop_keys(block)
        self._set_free(block)

    def _set_free(self, block: int) -> None:
        self._is_free[block] = True
        self._free += 1

    def _drop_keys(self, block: int) -> None:
        for key in self._keys.pop(block, ()):
            del self._by_key[key]

    def _pick(self, count: int, behind: int | None) -> list[int]:
        """Free blocks that lie side by side as far as possible, because attention reads those where they lie.

        First those right ``behind`` a block, then the smallest gap into which the rest fits, or the largest gaps.
        """
        picked: list[int] = []
        if behind is not None:
            while len(picked) < count and behind + 1 < self.capacity and self._is_free[behind + 1]:
                picked.append(behind := behind + 1)
        if len(picked) == count:
            return picked
        free = np.setdiff1d(np.nonzero(self._is_free)[0], picked, assume_unique=True)
        gaps = np.split(free, np.nonzero(np.diff(free) != 1)[0] + 1)
        gaps.sort(key=len)
        while (missing := count - len(picked)) > 0:
            at = next((index for index, gap in enumerate(gaps) if len(gap) >= missing), len(gaps) - 1)
            picked += gaps.pop(at)[:missing].tolist()
        return picked
